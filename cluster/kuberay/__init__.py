"""The same configurations for Kubernetes: a RayService of KubeRay 1.7 for each."""
