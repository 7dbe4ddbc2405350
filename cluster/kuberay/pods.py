"""The pods of a group of nodes."""

from typing import Any, Final

from configs.hardware import NodeGroup

DATA_CLAIM: Final = "parley-data"
"""Conversations and faces; the head's alone."""
MODELS_CLAIM: Final = "parley-models"
"""Weights, mounted at /models of every pod with a GPU, and of the head where no pod has one."""
KEYS_SECRET: Final = "parley-keys"

OBJECT_STORE_BYTES: Final = 10**9
"""Values cross by gRPC, so the store is nearly idle; Ray would take 30 % of the memory."""

_AGENT, _DASHBOARD, _SERVE = 52365, 8265, 8000

# The paths of these probes are open: Ray asks no token for them.
_ALIVE: Final[dict[str, Any]] = {
    "httpGet": {"path": "/api/local_raylet_healthz", "port": _AGENT},
    "initialDelaySeconds": 30,
    "periodSeconds": 5,
    "timeoutSeconds": 5,
    "failureThreshold": 24,  # two minutes, in which a loaded node comes back
}
_HEAD_READY: Final[dict[str, Any]] = {
    "httpGet": {"path": "/api/gcs_healthz", "port": _DASHBOARD},
    "initialDelaySeconds": 10,
    "periodSeconds": 5,
    "timeoutSeconds": 5,
    "failureThreshold": 12,
}
# Serve has a proxy on every node with a replica; only such a pod may get requests.
_WORKER_READY: Final[dict[str, Any]] = {
    "httpGet": {"path": "/-/healthz", "port": _SERVE},
    "initialDelaySeconds": 10,
    "periodSeconds": 5,
    "timeoutSeconds": 5,
    "failureThreshold": 1,
}


def head_group(group: NodeGroup, image: str, *, models: bool) -> dict[str, Any]:
    """`headGroupSpec`."""
    start = {"dashboard-host": "0.0.0.0", "object-store-memory": str(OBJECT_STORE_BYTES)}
    ports = [
        {"containerPort": 6379, "name": "gcs-server"},
        {"containerPort": _DASHBOARD, "name": "dashboard"},
        {"containerPort": 10001, "name": "client"},
        {"containerPort": _SERVE, "name": "serve"},
    ]
    container = _container("ray-head", group, image, ready=_HEAD_READY, models=models)
    container |= {"ports": ports}
    container["env"].append({"name": "XDG_DATA_HOME", "value": "/data"})
    container["volumeMounts"].append({"name": "data", "mountPath": "/data"})
    template = _template(group, container, models=models)
    template["spec"]["volumes"].append({"name": "data", "persistentVolumeClaim": {"claimName": DATA_CLAIM}})
    return {"rayStartParams": start, **_labels(group), "template": template}


def worker_group(group: NodeGroup, image: str) -> dict[str, Any]:
    """An entry of `workerGroupSpecs`."""
    models = bool(group.gpus)
    container = _container("ray-worker", group, image, ready=_WORKER_READY, models=models)
    return {
        "groupName": group.name,
        "replicas": group.count,
        "minReplicas": group.count,
        "maxReplicas": group.most,
        "rayStartParams": {"object-store-memory": str(OBJECT_STORE_BYTES)},
        **_labels(group),
        "template": _template(group, container, models=models),
    }


def _labels(group: NodeGroup) -> dict[str, Any]:
    return {"labels": dict(group.labels)} if group.labels else {}


def _container(name: str, group: NodeGroup, image: str, *, ready: dict[str, Any], models: bool) -> dict[str, Any]:
    amounts = {"cpu": str(group.cpus), "memory": f"{round(group.memory_gib * 1024)}Mi"}
    if group.gpus:
        amounts["nvidia.com/gpu"] = str(group.gpus)
    mounts = [{"name": "shm", "mountPath": "/dev/shm"}]
    env: list[dict[str, Any]] = [
        {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"},
        {"name": "PARLEY_API_KEYS", "valueFrom": {"secretKeyRef": {"name": KEYS_SECRET, "key": "api-keys"}}},
    ]
    if models:
        mounts.append({"name": "models", "mountPath": "/models"})
        env.append({"name": "HF_HOME", "value": "/models/huggingface"})
    return {
        "name": name,
        "image": image,
        "env": env,
        # As limits too: who is not promised what it has is the first to be put out.
        "resources": {"requests": dict(amounts), "limits": dict(amounts)},
        "livenessProbe": dict(_ALIVE),
        "readinessProbe": dict(ready),
        "securityContext": {"allowPrivilegeEscalation": False},
        "volumeMounts": mounts,
    }


def _template(group: NodeGroup, container: dict[str, Any], *, models: bool) -> dict[str, Any]:
    shm = f"{OBJECT_STORE_BYTES // 2**20 + 256}Mi"
    volumes: list[dict[str, Any]] = [{"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": shm}}]
    if models:
        volumes.append({"name": "models", "persistentVolumeClaim": {"claimName": MODELS_CLAIM}})
    # The image's user is 1000: volumes are made writable for it.
    spec: dict[str, Any] = {"securityContext": {"fsGroup": 1000}, "containers": [container], "volumes": volumes}
    if group.gpus:
        spec["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    return {"spec": spec}
