"""What a configuration books, and whether it fits its machines."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.demands import WHOLE_GPU, Demand, demands_of
from cluster.gpus_here import gpus_here, read_answer
from cluster.planner import problems_of, worst_company
from cluster.selectors import matches
from cluster.start_check import look_at
from configs.hardware import HardwareConfig, NodeGroup


def hardware(**group: Any) -> HardwareConfig:
    """One group behind a head without GPUs."""
    made = {"name": "gpu", "gpus": 1, "gpu_memory_gib": 22, **group}
    return HardwareConfig(nodes=(NodeGroup(name="front"), NodeGroup.model_validate(made)))


ASR = Demand(name="Asr", gpus=0.15, gpu_memory_gib=3)
LLM = Demand(name="Llm", gpus=0.5, gpu_memory_gib=13)
TTS = Demand(name="Tts", gpus=0.25, gpu_memory_gib=5)


def application(**deployments: dict[str, Any]) -> dict[str, Any]:
    args = {"llm": {"engine": "rules", "gpu_memory_gib": 12}, "avatar": None}
    return {"args": args, "deployments": [{"name": name, **each} for name, each in deployments.items()]}


class TestDemands:
    def test_serves_defaults_are_one_replica_without_a_gpu(self) -> None:
        demands = demands_of({})
        assert [demand.name for demand in demands] == ["Gateway", "Asr", "Llm", "Tts", "Avatar"]
        assert {(demand.least, demand.most, demand.gpus) for demand in demands} == {(1, 1, 0)}

    def test_a_stage_that_is_off_asks_for_nothing(self) -> None:
        assert "Avatar" not in [demand.name for demand in demands_of(application())]

    @pytest.mark.parametrize(
        ("deployment", "replicas"),
        [
            ({"num_replicas": 3}, (3, 3)),
            ({"num_replicas": "auto"}, (1, 100)),
            ({"autoscaling_config": {"min_replicas": 2, "max_replicas": 4}}, (2, 4)),
            ({"autoscaling_config": {"min_replicas": 0, "initial_replicas": 2, "max_replicas": 4}}, (2, 4)),
            ({"num_replicas": "auto", "autoscaling_config": {"max_replicas": 7}}, (1, 7)),
        ],
    )
    def test_replicas_are_read_as_serve_reads_them(self, deployment: dict[str, Any], replicas: tuple[int, int]) -> None:
        (llm,) = [each for each in demands_of(application(Llm=deployment)) if each.name == "Llm"]
        assert (llm.least, llm.most) == replicas

    def test_what_a_replica_books_and_takes_is_read(self) -> None:
        options = {"num_gpus": 0.5, "label_selector": {"parley/role": "language"}}
        demands = demands_of(application(Llm={"ray_actor_options": options, "max_replicas_per_node": 2}))
        (llm,) = [each for each in demands if each.name == "Llm"]
        expected = Demand(name="Llm", gpus=0.5, gpu_memory_gib=12, selector={"parley/role": "language"}, per_node=2)
        assert llm == expected
        assert llm.share == WHOLE_GPU // 2


class TestMemory:
    def test_what_fits_is_not_spoken_of(self) -> None:
        assert problems_of([ASR, LLM, TTS], hardware()) == []

    def test_a_sum_over_the_gpu_is_refused_with_the_sum(self) -> None:
        (problem,) = problems_of([ASR, replace(LLM, gpu_memory_gib=16.5), TTS], hardware())
        assert "'gpu' has 22 GiB and may get Asr 3 + Llm 16.5 + Tts 5 = 24.5 GiB" in problem
        assert "(`num_gpus` 0.15 + 0.5 + 0.25 = 0.9)" in problem

    def test_just_as_much_as_there_is_fits(self) -> None:
        assert problems_of([ASR, replace(LLM, gpu_memory_gib=14), TTS], hardware()) == []

    def test_replicas_that_come_under_load_are_counted(self) -> None:
        (problem,) = problems_of([replace(TTS, most=4, gpu_memory_gib=6)], hardware())
        assert "Tts 6 + Tts 6 + Tts 6 + Tts 6 = 24 GiB" in problem

    def test_replicas_that_never_meet_are_not_added(self) -> None:
        two = [replace(LLM, gpus=0.9, gpu_memory_gib=20), replace(TTS, gpu_memory_gib=20)]
        assert problems_of(two, hardware(gpus=2)) == []

    def test_labels_keep_replicas_apart(self) -> None:
        large = replace(LLM, gpu_memory_gib=20, selector={"parley/role": "language"})
        groups = [
            NodeGroup(name="speech", gpus=1, gpu_memory_gib=22),
            NodeGroup(name="language", gpus=1, gpu_memory_gib=22, labels={"parley/role": "language"}),
        ]
        elsewhere = replace(TTS, selector={"parley/role": "!language"})
        assert problems_of([large, elsewhere], HardwareConfig(nodes=tuple(groups))) == []
        (problem,) = problems_of([large, TTS], HardwareConfig(nodes=tuple(groups)))
        assert "'language' has 22 GiB and may get Llm 20 + Tts 5 = 25 GiB" in problem

    def test_who_has_a_gpu_alone_may_take_all_of_it(self) -> None:
        assert problems_of([replace(LLM, gpus=1, gpu_memory_gib=None)], hardware()) == []

    def test_a_single_replica_larger_than_the_gpu_is_refused(self) -> None:
        (problem,) = problems_of([replace(LLM, gpus=1, gpu_memory_gib=30)], hardware())
        assert "may get Llm 30 = 30 GiB" in problem

    def test_many_small_replicas_are_reckoned_at_once(self) -> None:
        many = [Demand(name=name, most=100, gpus=0.01, gpu_memory_gib=0.1) for name in ("Asr", "Llm", "Tts", "Avatar")]
        assert len(worst_company(many, 22)) == 100

    @given(
        st.lists(
            st.builds(
                Demand,
                name=st.sampled_from(["Asr", "Llm", "Tts"]),
                most=st.integers(1, 3),
                gpus=st.sampled_from([0.1, 0.3, 0.35, 0.5, 1.0]),
                gpu_memory_gib=st.sampled_from([0.5, 2.0, 7.0, 11.0]),
            ),
            min_size=1,
            max_size=3,
            unique_by=lambda demand: demand.name,
        )
    )
    def test_no_company_on_a_gpu_takes_more_than_the_worst(self, demands: list[Demand]) -> None:
        def takes(company: Sequence[int]) -> float:
            return sum(count * (d.gpu_memory_gib or 0) for count, d in zip(company, demands, strict=True))

        def allowed(company: Sequence[int]) -> bool:
            return sum(count * d.share for count, d in zip(company, demands, strict=True)) <= WHOLE_GPU

        every = product(*(range(demand.most + 1) for demand in demands))
        worst = worst_company(demands, 22)
        assert sum(d.gpu_memory_gib or 0 for d in worst) == pytest.approx(max(takes(c) for c in every if allowed(c)))


class TestBudgets:
    def test_a_part_of_a_gpu_needs_a_budget(self) -> None:
        (problem,) = problems_of([replace(LLM, gpu_memory_gib=None)], HardwareConfig())
        assert "Llm has 0.5 of a GPU" in problem
        assert "set `args.llm.gpu_memory_gib`" in problem

    def test_a_budget_without_a_gpu_is_a_mistake(self) -> None:
        (problem,) = problems_of([replace(LLM, gpus=0)], HardwareConfig())
        assert "`args.llm.gpu_memory_gib` is 13, but Llm has no GPU: set `num_gpus`" in problem

    @pytest.mark.parametrize(
        ("beside", "inside", "counts"), [(12, None, 12), (None, 9, 9), (12, 9, 12), (None, "x", None)]
    )
    def test_it_counts_wherever_it_stands(self, beside: float | None, inside: Any, counts: float | None) -> None:
        app = application()
        app["args"]["llm"] |= {"gpu_memory_gib": beside, "options": {"gpu_memory_gib": inside}}
        (llm,) = [each for each in demands_of(app) if each.name == "Llm"]
        assert llm.gpu_memory_gib == counts

    def test_models_in_memory_are_part_of_the_budget(self) -> None:
        app = application(Llm={"ray_actor_options": {"num_gpus": 0.5}})
        app["args"]["llm"]["options"] = {"residency": {"budget_gib": 12}}
        assert problems_of(demands_of(app), HardwareConfig()) == []
        app["args"]["llm"]["options"] = {"residency": {"budget_gib": 12.5}}
        (problem,) = problems_of(demands_of(app), HardwareConfig())
        assert "Llm's models may take 12.5 GiB (`residency.budget_gib`), more than the 12 of" in problem

    def test_one_and_a_half_gpus_are_none_that_ray_gives(self) -> None:
        (problem,) = problems_of([replace(LLM, gpus=1.5)], HardwareConfig())
        assert "`num_gpus: 1.5`" in problem


class TestPlaces:
    def test_more_than_there_is_is_refused_with_the_sum(self) -> None:
        demands = [replace(LLM, least=2, most=2, gpu_memory_gib=6), replace(TTS, gpu_memory_gib=2)]
        (problem,) = problems_of(demands, hardware())
        assert problem.startswith("no place for 1 of the first replicas (Tts)")
        assert "Llm 2 × 0.5 + Tts 1 × 0.25 = 1.25 GPUs are booked, 1 are there" in problem

    def test_what_only_comes_under_load_may_have_no_place(self) -> None:
        assert problems_of([replace(LLM, most=5, gpu_memory_gib=6)], hardware()) == []

    def test_a_replica_with_two_gpus_needs_a_node_with_two(self) -> None:
        pair = replace(LLM, gpus=2, gpu_memory_gib=20)
        assert problems_of([pair], hardware(gpus=2)) == []
        (problem,) = problems_of([pair], hardware(count=2))
        assert "no place for 1 of the first replicas (Llm)" in problem

    def test_a_label_that_no_node_has_is_named(self) -> None:
        (problem,) = problems_of([replace(LLM, selector={"parley/role": "langauge"})], hardware())
        assert "{'parley/role': 'langauge'} is met by no node" in problem

    def test_replicas_per_node_are_heeded(self) -> None:
        (problem,) = problems_of(
            [replace(TTS, least=2, most=2, per_node=1, selector={"a": "b"})], hardware(labels={"a": "b"})
        )
        assert "`max_replicas_per_node`" in problem


class TestGateways:
    two = Demand(name="Gateway", least=2, most=2)

    def test_on_one_node_there_may_be_several(self) -> None:
        assert problems_of([self.two], HardwareConfig(nodes=(NodeGroup(name="front"),))) == []

    def test_on_several_they_lack_a_common_store(self) -> None:
        (problem,) = problems_of([self.two], hardware())
        assert "2 Gateways may run on 2 nodes" in problem
        assert "SQLite" in problem
        assert "PostgreSQL" in problem

    def test_a_label_keeps_them_together(self) -> None:
        front = NodeGroup(name="front", labels={"parley/role": "front"})
        nodes = HardwareConfig(nodes=(front, NodeGroup(name="other")))
        assert problems_of([replace(self.two, selector={"parley/role": "front"})], nodes) == []

    def test_one_that_may_move_is_spoken_of(self) -> None:
        nodes = hardware().model_dump(mode="json")
        placement = look_at({"args": {"hardware": nodes}}, None)
        assert placement.problems == ()
        (note,) = placement.notes
        assert "Gateway may run on any of the nodes" in note


class TestThisMachine:
    def test_its_gpus_count_not_those_that_were_hoped_for(self) -> None:
        nodes = [{"name": "gpu", "gpus": 1, "gpu_memory_gib": 22}]
        wanted = application(Llm={"ray_actor_options": {"num_gpus": 0.5}})
        wanted["args"]["hardware"] = {"nodes": nodes}
        assert look_at(wanted, (22.5,)).problems == ()
        (problem,) = look_at(wanted, (24.0, 8.0)).problems
        assert "'this-machine' has 8 GiB and may get Llm 12 = 12 GiB" in problem

    def test_without_any_the_rest_runs(self) -> None:
        placement = look_at(application(Llm={"ray_actor_options": {"num_gpus": 0.5}}), ())
        assert placement.problems == ()
        assert placement.notes == (
            "this machine has no GPU that nvidia-smi knows: Llm will wait for one, the rest runs",
        )

    def test_the_drivers_answer_is_read(self) -> None:
        answer = "0, GPU-aa, 23034\n1, GPU-bb, 81559\n2, GPU-cc, [N/A]\n"
        assert read_answer(answer, None) == (22.49, 79.65)
        assert read_answer(answer, "1") == (79.65,)
        assert read_answer(answer, "GPU-a") == (22.49,)
        assert read_answer(answer, "") == ()

    def test_no_driver_is_no_gpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "")
        assert gpus_here() == ()


@pytest.mark.parametrize(
    ("wanted", "value", "met"),
    [
        ("a", "a", True),
        ("a", None, False),
        ("!a", "b", True),
        ("!a", None, True),
        ("!a", "a", False),
        ("in(a, b)", "b", True),
        ("in(a,b)", "c", False),
        ("!in(a,b)", "c", True),
        ("!in(a,b)", "a", False),
    ],
)
def test_selectors_are_read_as_ray_reads_them(wanted: str, value: str | None, met: bool) -> None:
    assert matches({"k": wanted}, {} if value is None else {"k": value}) is met


def test_labels_that_ray_gives_are_not_judged() -> None:
    assert matches({"ray.io/accelerator-type": "L4"}, {})
    assert not matches({"ray.io/accelerator-type": "L4"}, {"ray.io/accelerator-type": "A100"})
