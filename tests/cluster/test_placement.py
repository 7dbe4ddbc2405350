"""Which replica lands where, for each configuration with several places to choose from; one cluster, in this order."""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.cluster.fake_cluster import FakeCluster
from tests.serve.processes import ROOT

pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(240),
    # Starting a node, Ray forgets the sockets with which it looked for free ports.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"),
]

STARTED_S = 90
"""A loaded machine; by itself it takes about 10."""


def config(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "configs" / f"{name}.yaml").read_text())
    return loaded


def counts(seated: Counter[tuple[str, str]]) -> Counter[str]:
    """Replicas by deployment."""
    counted: Counter[str] = Counter()
    for (deployment, _), count in seated.items():
        counted[deployment] += count
    return counted


ONE_OF_EACH = Counter({"Gateway": 1, "Asr": 1, "Llm": 1, "Tts": 1, "Avatar": 1})


def test_on_one_gpu_all_share_it(cluster: FakeCluster) -> None:
    cluster.deploy(config("gpu-24g"))
    cluster.wait_for(lambda seated: counts(seated) == ONE_OF_EACH, STARTED_S)
    gpus = {seat.deployment: seat.gpus for seat in cluster.seats()}
    assert gpus["Asr"] == gpus["Llm"] == gpus["Tts"], "the second GPU of the fake node stays free"
    assert len(gpus["Llm"]) == 1
    assert gpus["Gateway"] == gpus["Avatar"] == ()
    visible = {seat.deployment: seat.visible for seat in cluster.seats()}
    assert (visible["Llm"],) == gpus["Llm"]
    cluster.delete()


def test_of_two_gpus_the_language_model_has_one(cluster: FakeCluster) -> None:
    cluster.deploy(config("gpu-2x24g"))
    cluster.wait_for(lambda seated: counts(seated) == ONE_OF_EACH, STARTED_S)
    gpus = {seat.deployment: seat.gpus for seat in cluster.seats()}
    assert gpus["Asr"] == gpus["Tts"] != gpus["Llm"]
    assert sorted(gpus["Asr"] + gpus["Llm"]) == ["0", "1"]
    cluster.delete()


class TestSeveralHosts:
    """`multi-host.yaml`: first with one node for speech, then with two, under load, and with one node killed."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def deployed(cls, cluster: FakeCluster) -> Iterator[None]:
        cluster.add("speech-1", "speech")
        cluster.add("language-1", "language")
        cluster.add("language-2", "language")
        cluster.deploy(config("multi-host"))
        yield
        cluster.delete()

    def test_labels_decide_and_replicas_are_spread(self, cluster: FakeCluster) -> None:
        # 2 × 0.3 + 2 × 0.3 of the one GPU for speech: one of the four has to wait.
        def placed(seated: Counter[tuple[str, str]]) -> bool:
            speech = seated["Asr", "speech-1"] + seated["Tts", "speech-1"]
            return counts(seated)["Gateway"] == counts(seated)["Llm"] == counts(seated)["Avatar"] == 2 and speech == 3

        seated = cluster.wait_for(placed, STARTED_S)
        assert seated["Gateway", "head"] == 2
        assert seated["Llm", "language-1"] == seated["Llm", "language-2"] == 1
        assert not [node for name, node in seated if name == "Avatar" and node.startswith("language")]
        assert sum(seated.values()) == 9

    def test_a_second_node_takes_the_overflow(self, cluster: FakeCluster) -> None:
        before = cluster.seated()
        cluster.add("speech-2", "speech")
        seated = cluster.wait_for(lambda seated: sum(seated.values()) == 10, STARTED_S)
        assert seated["Asr", "speech-2"] + seated["Tts", "speech-2"] == 1
        assert not before - seated, "what ran goes on where it was"

    def test_load_brings_replicas_and_its_end_takes_them_away(self, cluster: FakeCluster) -> None:
        held = cluster.handle().load.remote("Asr", 12, 20.0)
        # 12 in progress at 4 for each replica.
        seated = cluster.wait_for(lambda seated: counts(seated)["Asr"] >= 3, 60)
        assert seated["Asr", "speech-1"] + seated["Asr", "speech-2"] == counts(seated)["Asr"]
        assert counts(seated)["Llm"] == counts(seated)["Tts"] == 2, "the others had nothing to do"
        assert len(held.result(timeout_s=60)) == 12
        cluster.wait_for(lambda seated: counts(seated)["Asr"] == 2, 60)

    def test_a_node_that_dies_under_load_costs_no_answer(self, cluster: FakeCluster) -> None:
        handle = cluster.handle()
        held = [handle.load.remote("Asr", 4, 4.0), handle.load.remote("Tts", 4, 4.0)]
        time.sleep(1)  # until the calls are with the replicas, of which each node has some
        cluster.kill("speech-2")
        assert [len(load.result(timeout_s=90)) for load in held] == [4, 4]
        seated = cluster.wait_for(lambda seated: not [1 for _, node in seated if node == "speech-2"], 60)
        assert seated["Asr", "speech-1"] + seated["Tts", "speech-1"] == 3, "as much as its GPU holds"
        assert seated["Llm", "language-1"] == seated["Llm", "language-2"] == 1
