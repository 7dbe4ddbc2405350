"""Tools that the server itself has for the model."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Label = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9-]{1,24}$")]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class McpServerConfig(BaseModel):
    """A server of the Model Context Protocol: one that is running (`url`), or one to be started (`command`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str | None = Field(default=None, pattern=r"^https?://")
    """Where it speaks Streamable HTTP."""
    token_variable: Variable | None = None
    """The environment variable that holds the bearer token for `url`."""
    command: tuple[str, ...] = ()
    """A program and its arguments; it speaks on its standard input and output, and ends with the Gateway."""
    variables: tuple[Variable, ...] = ()
    """Environment variables that `command` gets, beside PATH, HOME and the like."""
    tools: tuple[str, ...] | None = None
    """Those the model may call, by the server's own names. None: all."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.url is None) == (not self.command):
            raise ValueError("say either `url` or `command`")
        if self.command and self.token_variable:
            raise ValueError("`token_variable` belongs to `url`; a `command` gets `variables`")
        if self.url and self.variables:
            raise ValueError("`variables` belong to `command`; a `url` has a `token_variable`")
        return self


class ToolServerConfig(BaseModel):
    """What the server runs, or has run, for the model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    functions: tuple[str, ...] = ()
    """Import paths such as `my_tools:get_weather`. Type hints and docstring tell the model how to call them."""
    mcp: dict[Label, McpServerConfig] = {}
    """Servers by a label: their tools are called `label__name`."""
    timeout_s: float = Field(default=20, gt=0, le=3600)
    """A call that takes longer is given up, and the model told."""
    max_running: int = Field(default=16, ge=1, le=256)
    """Per Gateway replica, of functions and of each MCP server; calls that were given up and still run count."""
