"""`python -m cluster.kuberay CONFIG [--image IMAGE] > rayservice.yaml`"""

import argparse
import sys
from pathlib import Path

from cluster.kuberay.manifest import IMAGE, NotForKubernetes, manifest


def main() -> None:
    """Write the manifest to standard output."""
    parser = argparse.ArgumentParser(prog="python -m cluster.kuberay", description="A RayService from a configuration.")
    parser.add_argument("config", type=Path, help="a Serve config such as configs/gpu-24g.yaml")
    parser.add_argument("--image", default=IMAGE, help="the image of all pods (default: %(default)s)")
    options = parser.parse_args()
    try:
        sys.stdout.write(manifest(options.config, options.image))
    except (OSError, NotForKubernetes) as error:
        sys.exit(f"{options.config}: {error}")


if __name__ == "__main__":
    main()
