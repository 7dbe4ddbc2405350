"""How one model speaks: its chat template, its way of calling functions, of thinking aloud, and of keeping to JSON.

All of it is vLLM's own, by the names that `vllm serve` knows: the template from the tokenizer, `--tool-call-parser`,
`--reasoning-parser`. Requests pass through vLLM's form of OpenAI's chat, which is what its parsers are written for.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.llm.contract import LlmRequest
from deployments.llm.vllm.conversation import wire_messages, wire_tools
from deployments.runtime.errors import ConfigError, InvalidRequest

WINDOW_PARAMS = ("input_text", "input_tokens")
"""What vLLM names when a prompt is too long."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request as the engine takes it."""

    engine_input: Any
    sampling: Any
    form: Any
    """vLLM's `ChatCompletionRequest`, which its parsers read."""
    parser: Any | None
    """One for this reply: it takes deltas and remembers."""
    token_ids: Sequence[int]
    reasoning: Mapping[str, Any]
    """What the core must know to leave the model's thoughts free when the answer is bound to JSON."""


class Dialect:
    """Of one model."""

    def __init__(
        self,
        llm: Any,
        *,
        tool_parser: str | None,
        reasoning_parser: str | None,
        template: Path | None,
        template_options: Mapping[str, Any],
        max_output_tokens: int,
    ) -> None:
        """Raises ConfigError for a parser that vLLM does not know, or that does not fit the model's tokenizer."""
        from vllm.renderers.online_renderer import OnlineRenderer

        self._llm = llm
        self._model_config = llm.model_config
        self._window = int(llm.model_config.max_model_len)
        self._max_output_tokens = max_output_tokens
        self._defaults = llm.model_config.get_diff_sampling_param()
        try:
            text = None if template is None else template.read_text(encoding="utf-8")
            make = functools.partial(
                OnlineRenderer,
                llm.model_config,
                llm.renderer,
                request_logger=None,
                chat_template=text,
                chat_template_content_format="auto",
                enable_auto_tools=tool_parser is not None,
                # Otherwise the tools would leave the prompt, and with them the cached prefix.
                exclude_tools_when_tool_choice_none=False,
                tool_parser=tool_parser,
                reasoning_parser=reasoning_parser,
                default_chat_template_kwargs=dict(template_options),
            )
            # By default a call is held to a tool's name, and its arguments to nothing.
            self._strict, self._free = make(tool_strict_level="parameter"), make()
        except (OSError, TypeError, KeyError, ValueError) as error:
            raise ConfigError(f"llm engine 'vllm': {error}") from error
        if text is None and not getattr(llm.renderer.tokenizer, "chat_template", None):
            raise ConfigError(
                "llm engine 'vllm': the model's tokenizer has no chat template: name a file with chat_template, or "
                "take an instruct model",
                param="chat_template",
            )
        self._tools = tool_parser is not None
        self._control_tokens = tuple(getattr(llm.renderer.tokenizer, "all_special_tokens", ()))

    async def prompt(self, request: LlmRequest) -> Prompt:
        """Render a request. Raises InvalidRequest: the prompt is over the window, a schema cannot be kept to."""
        from jinja2 import TemplateError
        from vllm.exceptions import VLLMClientError, VLLMValidationError

        form = self._form(request)
        renderer = self._renderer_for(request)
        try:
            rendered = await renderer.render_chat(form)
            if not isinstance(rendered, tuple):
                raise InvalidRequest(rendered.error.message)
            engine_input = rendered[1][0]
            token_ids = engine_input["prompt_token_ids"]
            limit = request.max_output_tokens or self._max_output_tokens
            sampling = form.to_sampling_params(max(1, min(limit, self._window - len(token_ids))), self._defaults)
        except VLLMValidationError as error:
            raise self._refusal(error, error.parameter) from error
        except (VLLMClientError, TemplateError, ValueError, TypeError) as error:
            raise self._refusal(error, None) from error
        kwargs = renderer.effective_chat_template_kwargs(form)
        parser = self._parser(renderer, form, kwargs)
        reasoning: dict[str, Any] = {"reasoning_ended": form.resolve_reasoning_ended(parser, token_ids)}
        if parser is not None and parser.reasoning_parser is not None:
            reasoning["reasoning_parser_kwargs"] = {"chat_template_kwargs": kwargs}
        return Prompt(engine_input, sampling, form, parser, token_ids, reasoning)

    def _form(self, request: LlmRequest) -> Any:
        from pydantic import ValidationError
        from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest

        if not request.messages:
            raise InvalidRequest("the model needs one message at least", param="messages")
        if request.tools and request.tool_choice != "none" and not self._tools:
            raise InvalidRequest(
                "this server's model calls no functions: its operator has named no tool_parser", param="tools"
            )
        try:
            return ChatCompletionRequest.model_validate(chat_form(request, self._control_tokens))
        except ValidationError as error:
            raise InvalidRequest(f"the model does not take this: {error.errors()[0]['msg']}") from error

    def _renderer_for(self, request: LlmRequest) -> Any:
        """Arguments are free where a tool's schema says what no grammar can."""
        from vllm.v1.structured_output.backend_xgrammar import has_xgrammar_unsupported_json_features

        too_much = any(has_xgrammar_unsupported_json_features(tool.parameters) for tool in request.tools)
        return self._free if too_much else self._strict

    def _parser(self, renderer: Any, form: Any, template_kwargs: Mapping[str, Any]) -> Any | None:
        if renderer.parser is None:
            return None
        tokenizer = self._llm.renderer.tokenizer
        return renderer.parser(
            tokenizer, form.tools, chat_template_kwargs=template_kwargs, model_config=self._model_config
        )

    def _refusal(self, error: Exception, param: str | None) -> InvalidRequest:
        if param in WINDOW_PARAMS:
            return InvalidRequest(
                f"The conversation is over the model's window of {self._window} tokens: send fewer or shorter "
                f"messages. ({error})",
                "context_length_exceeded",
                "messages",
            )
        return InvalidRequest(f"the model does not take this: {error}", param=param)


def chat_form(request: LlmRequest, control_tokens: Sequence[str] = ()) -> dict[str, Any]:
    """A request in the fields of OpenAI's chat, those that are set."""
    form: dict[str, Any] = {
        "messages": wire_messages(request.messages, control_tokens),
        "stream": True,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "seed": request.seed,
        "stop": list(request.stop) or None,
    }
    if request.tools:
        form["tools"] = wire_tools(request.tools)
        form["tool_choice"] = _tool_choice(request.tool_choice)
    if request.json_schema:
        schema = {"name": "reply", "schema": request.json_schema, "strict": True}
        form["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif request.json_schema is not None:
        form["response_format"] = {"type": "json_object"}
    return {name: value for name, value in form.items() if value is not None}


def _tool_choice(choice: str) -> str | dict[str, Any]:
    if choice in ("auto", "none", "required"):
        return choice
    return {"type": "function", "function": {"name": choice}}
