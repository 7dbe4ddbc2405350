"""`python -m cluster.monitoring > cluster/monitoring/grafana.json`"""

import sys

from cluster.monitoring.dashboard import text

sys.stdout.write(text())
