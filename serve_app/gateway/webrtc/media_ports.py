"""Where the media of a call arrives: which addresses and ports its ICE connection binds.

aioice 0.13 binds port 0 of every interface and has no option for either. It gathers by one method of its connection,
which takes the addresses as an argument; that method is replaced on the one object. STUN and TURN go on as in aioice.
"""

import asyncio
import ipaddress
import random
import socket
from collections.abc import Iterable

from aioice import Candidate, Connection
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol, server_reflexive_candidate

from configs.webrtc import WebRtcConfig
from deployments.runtime.errors import ServerFull

_BUFFER_BYTES = 2**18
"""Of a socket: a second of picture at the highest bit rate."""
_GATHER_S = 3.0
"""For the answers of STUN and TURN servers."""
LOOPBACK = "127.0.0.1"


class MediaPorts:
    """Binds for one connection after another."""

    def __init__(self, config: WebRtcConfig, local_only: bool) -> None:
        """`local_only`: clients are on this host, as long as no addresses are configured."""
        self._addresses = config.addresses or ((LOOPBACK,) if local_only else ())
        self._ports = config.ports
        self._advertise = config.advertise

    def confine(self, connection: Connection) -> None:
        """Make a connection that has not gathered yet bind here."""
        gather_elsewhere = connection.get_component_candidates

        async def gather(component: int, addresses: list[str], timeout: int = 5) -> list[Candidate]:  # noqa: ASYNC109
            protocols = await self._bind(connection, component, self._addresses or addresses)
            connection._protocols += protocols
            hosts = [protocol.local_candidate for protocol in protocols]
            # Without addresses it asks the TURN server alone.
            asked = [
                asyncio.create_task(gather_elsewhere(component, [])),
                *(asyncio.create_task(_reflexive(connection, protocol)) for protocol in protocols),
            ]
            done, late = await asyncio.wait(asked, timeout=_GATHER_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
            found = [candidate for task in done if not task.exception() for candidate in task.result()]
            return [*hosts, *self._mapped(hosts), *found]

        connection.get_component_candidates = gather  # type: ignore[method-assign]  # see above

    async def _bind(self, connection: Connection, component: int, addresses: Iterable[str]) -> list[StunProtocol]:
        protocols: list[StunProtocol] = []
        for address in addresses:
            bound = await self._bound(address)
            if bound is None:
                continue
            _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: StunProtocol(connection), sock=bound
            )
            host, port = bound.getsockname()[:2]
            protocol.local_candidate = Candidate(
                foundation=candidate_foundation("host", "udp", host),
                component=component,
                transport="udp",
                priority=candidate_priority(component, "host"),
                host=host,
                port=port,
                type="host",
            )
            protocols.append(protocol)
        if not protocols:
            raise ServerFull("no UDP port for media is free: try again later, or widen webrtc.ports")
        return protocols

    async def _bound(self, address: str) -> socket.socket | None:
        family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
        for port in self._candidates():
            bound = socket.socket(family, socket.SOCK_DGRAM)
            try:
                bound.setblocking(False)
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
                bound.bind((address, port))
            except OSError:  # taken, or an address that cannot be bound
                bound.close()
            else:
                return bound
        return None

    def _candidates(self) -> list[int]:
        if self._ports is None:
            return [0]
        ports = list(range(self._ports[0], self._ports[1] + 1))
        begin = random.randrange(len(ports))  # a port that was just left may still get packets of its last call
        return ports[begin:] + ports[:begin]

    def _mapped(self, hosts: list[Candidate]) -> list[Candidate]:
        if self._advertise is None:
            return []
        version = ipaddress.ip_address(self._advertise).version
        return [
            Candidate(
                foundation=candidate_foundation("srflx", "udp", host.host),
                component=host.component,
                transport="udp",
                priority=candidate_priority(host.component, "srflx"),
                host=self._advertise,
                port=host.port,
                type="srflx",
                related_address=host.host,
                related_port=host.port,
            )
            for host in hosts
            if ipaddress.ip_address(host.host).version == version
        ]


async def _reflexive(connection: Connection, protocol: StunProtocol) -> list[Candidate]:
    if connection.stun_server is None or ipaddress.ip_address(protocol.local_candidate.host).version != 4:
        return []
    candidate, _ = await server_reflexive_candidate(protocol, connection.stun_server)
    return [candidate]
