"""A RayService and the claim for its data, made from a configuration."""

import copy
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import yaml

from cluster.demands import STAGES, demands_of
from cluster.kuberay.pods import DATA_CLAIM, head_group, worker_group
from cluster.planner import problems_of
from configs.schema import AppConfig

IMAGE: Final = "parley:latest"
"""Built by `cluster/docker/Dockerfile`, with the environments of the configuration's engines."""

ENVIRONMENTS: Final = "/opt/parley/.envs"
"""Where the image has them."""

EXTRAS: Final = {
    "faster_whisper": "faster-whisper",
    "vllm": "vllm",
    "xtts": "xtts",
    "piper": "piper",
    "ditto": "ditto",
}
"""Engines with an environment of their own, and its name."""

_DATA_SIZE: Final = "10Gi"


class NotForKubernetes(ValueError):
    """The configuration names no nodes, or does not fit them; says which."""


def documents(config: dict[str, Any], name: str, image: str = IMAGE) -> list[dict[str, Any]]:
    """The claim and the RayService for a Serve config with one application. Raises NotForKubernetes."""
    (application,) = config["applications"]
    hardware = AppConfig.model_validate(application.get("args") or {}).hardware
    if not hardware.nodes:
        raise NotForKubernetes("the configuration names no nodes: set `args.hardware.nodes`")
    if wrong := problems_of(demands_of(application), hardware):
        raise NotForKubernetes("; ".join(wrong))
    head, *workers = hardware.nodes
    cluster: dict[str, Any] = {
        "rayVersion": metadata.version("ray"),
        "authOptions": {"mode": "token"},
        "headGroupSpec": head_group(head, image, models=bool(head.gpus) or not any(each.gpus for each in workers)),
    }
    if workers:
        cluster["workerGroupSpecs"] = [worker_group(group, image) for group in workers]
    if any(group.most > group.count for group in workers):
        cluster["enableInTreeAutoscaling"] = True
        cluster["autoscalerOptions"] = {"upscalingMode": "Default", "idleTimeoutSeconds": 300}
    service = {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {"name": name},
        "spec": {
            # One head at a time has the claim. Another `serveConfigV2` is taken over without a new cluster.
            "upgradeStrategy": {"type": "None"},
            "serveConfigV2": _Text(yaml.safe_dump(in_pods(config), sort_keys=False, width=120)),
            "rayClusterConfig": cluster,
        },
    }
    return [_claim(), service]


def in_pods(config: dict[str, Any]) -> dict[str, Any]:
    """The Serve config as pods need it: reachable, a proxy on every node, engines in the image's environments."""
    config = copy.deepcopy(config)
    config["http_options"] = {**(config.get("http_options") or {}), "host": "0.0.0.0"}
    config["proxy_location"] = "EveryNode"
    (application,) = config["applications"]
    for deployment in application.get("deployments") or []:
        choice = application["args"].get(STAGES.get(deployment["name"], ""))
        extra = EXTRAS.get(choice["engine"]) if choice else None
        if extra:
            options = {"num_cpus": 0, **(deployment.get("ray_actor_options") or {})}
            environment = {**options.get("runtime_env", {}), "py_executable": f"{ENVIRONMENTS}/{extra}/bin/python"}
            deployment["ray_actor_options"] = {**options, "runtime_env": environment}
    return config


def manifest(config_path: Path, image: str = IMAGE) -> str:
    """The YAML of `documents`, which are named after the configuration's file. Raises NotForKubernetes."""
    made = documents(yaml.safe_load(config_path.read_text()), f"parley-{config_path.stem}", image)
    made_by = (
        f"# Made by `python -m cluster.kuberay configs/{config_path.name}` for KubeRay 1.7; see docs/deploying.md.\n"
    )
    return made_by + yaml.dump_all(made, Dumper=_Dumper, sort_keys=False, width=120)


def _claim() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": DATA_CLAIM},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": _DATA_SIZE}}},
    }


class _Text(str):
    """Shown as lines."""


class _Dumper(yaml.SafeDumper):
    """Without aliases, with texts as blocks."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _as_block(dumper: yaml.SafeDumper, text: _Text) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|")


_Dumper.add_representer(_Text, _as_block)
