"""Settings of calls by WebRTC: where media flows, and when a call is given up."""

import ipaddress
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class IceServer(BaseModel):
    """A STUN or TURN server. Of each kind the first is used."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(pattern=r"^(stun|turn|turns):[^\s?:]+(:\d{1,5})?(\?transport=(udp|tcp))?$")
    """Such as `stun:stun.example.org:3478` or `turn:turn.example.org?transport=tcp`."""
    username: str = Field(default="", max_length=512)
    """For TURN."""
    credential_env: str = Field(default="PARLEY_TURN_CREDENTIAL", min_length=1)
    """The environment variable that holds the credential, so that no file has it."""

    for_clients: bool = True
    """Whether clients are told of it, with the credential, by `GET /v1/realtime/calls/ice_servers`: the page uses it.
    Only those are told who may call."""

    @property
    def relays(self) -> bool:
        """It is a TURN server."""
        return self.url.startswith("turn")


class WebRtcConfig(BaseModel):
    """How calls reach this server. HTTP only makes them; their media flows by UDP straight to the replica."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = True
    """Whether `POST /v1/realtime/calls` exists."""
    ice_servers: tuple[IceServer, ...] = Field(default=(), max_length=8)
    """Asked for this server's own address (STUN) or to relay media (TURN)."""
    addresses: tuple[str, ...] = Field(default=(), max_length=16)
    """Local addresses to receive media at. Empty: 127.0.0.1 while no keys are configured, else every interface."""
    advertise: str | None = None
    """An address under which clients reach this host besides its own: a public one that is mapped 1:1, say."""
    ports: tuple[int, int] | None = None
    """The first and the last UDP port for media, one per call and address; None lets the system choose."""
    setup_s: float = Field(default=15, gt=0, le=120)
    """A call that is not connected so long after its offer is given up."""
    lost_s: float = Field(default=10, ge=2, le=120)
    """A client of which nothing arrives for so long is gone. Where media flows, a report comes every second or two."""

    @field_validator("addresses")
    @classmethod
    def _are_addresses(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(ipaddress.ip_address(address)) for address in addresses)

    @field_validator("advertise")
    @classmethod
    def _is_an_address(cls, advertise: str | None) -> str | None:
        return None if advertise is None else str(ipaddress.ip_address(advertise))

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.ports is not None and not 1024 <= self.ports[0] <= self.ports[1] <= 65535:
            raise ValueError(f"ports: from 1024 to 65535, the smaller one first, not {self.ports}")
        return self
