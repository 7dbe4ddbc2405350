"""The manifests for Kubernetes: made from the configurations, and what KubeRay and Serve take."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from cluster.demands import STAGES
from cluster.kuberay import __main__ as command
from cluster.kuberay.manifest import EXTRAS, IMAGE, NotForKubernetes, documents, manifest
from deployments.runtime.engines import engine_names
from tests.kuberay_schema import TRIMMED, manifests, services, strict, trimmed

ROOT = Path(__file__).parents[2]
CRD = ROOT.parent / "shared" / "k8s" / "rayservice-crd-v1.7.0.yaml"

Document = dict[str, Any]


def config(name: str) -> Document:
    loaded: Document = yaml.safe_load((ROOT / "configs" / f"{name}.yaml").read_text())
    return loaded


def service(name: str) -> Document:
    (made,) = [each for each in documents(config(name), "parley") if each["kind"] == "RayService"]
    return made


def pods(made: Document) -> list[Document]:
    """The head's pod, then those of the workers."""
    cluster = made["spec"]["rayClusterConfig"]
    groups = [cluster["headGroupSpec"], *cluster.get("workerGroupSpecs", [])]
    return [group["template"]["spec"] for group in groups]


def test_one_gpu_and_several_hosts_have_theirs() -> None:
    assert [path.stem for path in manifests()] == ["gpu-24g", "multi-host"]


@pytest.mark.parametrize("path", manifests(), ids=lambda path: path.stem)
def test_what_is_committed_is_what_the_generator_makes(path: Path) -> None:
    assert path.read_text() == manifest(ROOT / "configs" / path.name), f"make it anew: python -m cluster.kuberay {path}"


@pytest.mark.parametrize("made", services(), ids=lambda made: made["metadata"]["name"])
class TestService:
    def test_kuberay_takes_it(self, made: Document) -> None:
        jsonschema.Draft202012Validator(json.loads(TRIMMED.read_text())).validate(made)

    def test_serve_takes_its_configuration(self, made: Document) -> None:
        schema = ServeDeploySchema.model_validate(yaml.safe_load(made["spec"]["serveConfigV2"]))
        assert schema.http_options.host == "0.0.0.0"

    def test_ray_asks_for_a_token_and_parley_for_a_key(self, made: Document) -> None:
        assert made["spec"]["rayClusterConfig"]["authOptions"] == {"mode": "token"}
        for pod in pods(made):
            (keys,) = [each for each in pod["containers"][0]["env"] if each["name"] == "PARLEY_API_KEYS"]
            assert "optional" not in keys["valueFrom"]["secretKeyRef"], "without the secret no pod starts"

    def test_whoever_has_gpus_tolerates_their_taint_and_finds_the_models(self, made: Document) -> None:
        for pod in pods(made):
            gpus = "nvidia.com/gpu" in pod["containers"][0]["resources"]["limits"]
            assert gpus == ("tolerations" in pod)
            assert not gpus or "/models" in [mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]]

    def test_every_volume_that_is_mounted_is_there(self, made: Document) -> None:
        for pod in pods(made):
            mounted = {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
            assert mounted == {volume["name"] for volume in pod["volumes"]}

    def test_every_pod_is_watched(self, made: Document) -> None:
        for pod in pods(made):
            assert {"livenessProbe", "readinessProbe"} <= set(pod["containers"][0])

    def test_only_the_head_has_the_data(self, made: Document) -> None:
        with_data = ["data" in [volume["name"] for volume in pod["volumes"]] for pod in pods(made)]
        assert with_data == [True] + [False] * (len(with_data) - 1)


@pytest.mark.skipif(not CRD.exists(), reason=f"Left out: the whole definition of KubeRay 1.7.0 is not at {CRD}")
def test_the_schema_that_is_kept_is_cut_from_the_definition() -> None:
    whole = strict(yaml.load(CRD.read_text(), yaml.CSafeLoader))
    for made in services():
        jsonschema.Draft202012Validator(whole).validate(made)
    assert json.loads(TRIMMED.read_text()) == trimmed(whole, services())


@pytest.mark.parametrize("change", [{"spec": {}}, {"spec": {"serveConfig": ""}}])
def test_the_schema_refuses_what_kuberay_does_not_know(change: Document) -> None:
    made = {**service("gpu-24g"), **change}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(made, json.loads(TRIMMED.read_text()))


def test_nodes_become_groups() -> None:
    cluster = service("multi-host")["spec"]["rayClusterConfig"]
    assert cluster["headGroupSpec"]["labels"] == {"parley/role": "front"}
    sizes = {
        group["groupName"]: (group["replicas"], group["minReplicas"], group["maxReplicas"], group["labels"])
        for group in cluster["workerGroupSpecs"]
    }
    assert sizes == {role: (2, 2, 4, {"parley/role": role}) for role in ("speech", "language")}
    assert cluster["enableInTreeAutoscaling"] is True


def test_one_machine_is_one_pod() -> None:
    cluster = service("gpu-24g")["spec"]["rayClusterConfig"]
    assert "workerGroupSpecs" not in cluster
    assert cluster["headGroupSpec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_engines_run_in_the_environments_of_the_image() -> None:
    served = yaml.safe_load(service("gpu-24g")["spec"]["serveConfigV2"])
    options = {each["name"]: each["ray_actor_options"] for each in served["applications"][0]["deployments"]}
    assert options["Llm"] == {
        "num_cpus": 0,
        "num_gpus": 0.5,
        "runtime_env": {"py_executable": "/opt/parley/.envs/vllm/bin/python"},
    }
    assert "runtime_env" not in options["Avatar"], "the portrait runs in Parley's own"


def test_environments_are_those_that_engines_name() -> None:
    modules = [
        importlib.import_module(f"deployments.{stage}.engines.{name}")
        for stage in STAGES.values()
        for name in engine_names(stage)
    ]
    named = {module.__name__.rpartition(".")[2]: module.EXTRA for module in modules if hasattr(module, "EXTRA")}
    assert named == {engine: extra for engine, extra in EXTRAS.items() if engine in named}
    assert "ditto" in named


def test_a_configuration_without_nodes_is_none_for_kubernetes() -> None:
    with pytest.raises(NotForKubernetes, match=r"names no nodes: set `args\.hardware\.nodes`"):
        documents(config("local"), "parley")


def test_what_does_not_fit_is_none_for_kubernetes() -> None:
    too_large = config("gpu-24g")
    too_large["applications"][0]["args"]["llm"]["gpu_memory_gib"] = 20
    with pytest.raises(NotForKubernetes, match=r"= 28 GiB"):
        documents(too_large, "parley")


def test_the_command_writes_the_manifest(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    path = ROOT / "configs" / "gpu-80g.yaml"
    monkeypatch.setattr(sys, "argv", ["kuberay", str(path), "--image", "registry.example/parley:1"])
    command.main()
    written = capsys.readouterr().out
    assert written == manifest(path, "registry.example/parley:1")
    assert IMAGE not in written


def test_the_command_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["kuberay", str(ROOT / "configs" / "local.yaml")])
    with pytest.raises(SystemExit, match="names no nodes"):
        command.main()
