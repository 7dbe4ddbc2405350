"""What `serve run serve_config.yaml` imports: the graph."""

from typing import Any

from ray import serve
from ray.serve.config import RequestRouterConfig

from configs.schema import AppConfig
from configs.session import SessionConfig
from deployments.asr.deployment import Asr
from deployments.avatar.deployment import Avatar
from deployments.llm.deployment import Llm
from deployments.tts.deployment import Tts
from serve_app.gateway.deployment import Gateway


def build_app(args: AppConfig) -> serve.Application:
    """Bind the graph. `args` stands in the Serve config; its `deployments` override the options given here."""
    asr = _deployment(Asr, request_router_config=_STICKY).bind(args.asr)
    llm = _deployment(Llm, request_router_config=_NEAR_ITS_PREFIX).bind(args.llm)
    tts = _deployment(Tts).bind(args.tts)
    avatar = None if args.avatar is None else _deployment(Avatar, request_router_config=_STICKY).bind(args.avatar)
    gateway = _deployment(
        serve.ingress()(Gateway),
        max_ongoing_requests=_ABOVE_OUR_LIMITS,
        graceful_shutdown_timeout_s=5.0,
        user_config=SessionConfig().model_dump(mode="json"),
    )
    return gateway.bind(asr, llm, tts, avatar, args)


_STICKY = RequestRouterConfig.model_validate({"request_router_class": "deployments.runtime.router:StickyRouter"})

_NEAR_ITS_PREFIX = RequestRouterConfig.model_validate(
    {
        "request_router_class": "deployments.runtime.router:StickyRouter",
        "request_router_kwargs": {"leave_when_full": True},
    }
)
"""A conversation stays where its prefix is cached; any other replica can go on with it, so it waits for none."""

_ABOVE_OUR_LIMITS = 1000
"""Admission is the Gateway's: at Serve's own limit a WebSocket hangs or gets a bare HTTP 500."""


def _deployment(cls: type, **options: Any) -> serve.Deployment:
    """A deployment named after its class, which stays importable so that replicas load it from the installed code."""
    defaults: dict[str, Any] = {
        "name": cls.__name__,
        "ray_actor_options": {"num_cpus": 0},
        "max_ongoing_requests": 200,
        # A replica that died is replaced after the next check.
        "health_check_period_s": 2.0,
        "health_check_timeout_s": 10.0,
        # Serve waits this long before it looks whether a stopping replica is idle: 2 s by default, in every tier.
        "graceful_shutdown_wait_loop_s": 0.1,
        "graceful_shutdown_timeout_s": 3.0,
    }
    return serve.deployment(**{**defaults, **options})(cls)
