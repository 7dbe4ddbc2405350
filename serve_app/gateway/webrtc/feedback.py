"""What the receiver of a face's picture says about it: RTCP, taken where aiortc hands it to its sender.

aiortc keeps a lost picture (PLI, FIR; RFC 4585, 5104), the receiver's estimate (REMB) and the share of lost packets for
an encoder of its own, which is not used here. So the one method that a sender is called with is wrapped on its object.
"""

from collections.abc import Callable

from aiortc import RTCRtpSender
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpSrPacket,
    unpack_remb_fci,
)

from serve_app.gateway.webrtc.bitrate import Bitrate


def listen(sender: RTCRtpSender, on_lost_picture: Callable[[], None], bitrate: Bitrate) -> None:
    """Hear what is reported of `sender`, which goes on hearing it itself."""
    handle = sender._handle_rtcp_packet

    async def heard(packet: AnyRtcpPacket) -> None:
        await handle(packet)
        if isinstance(packet, RtcpRrPacket | RtcpSrPacket):
            for report in packet.reports:
                if report.ssrc == sender._ssrc:
                    bitrate.reported(report.fraction_lost / 256)
        elif isinstance(packet, RtcpPsfbPacket):
            if packet.fmt in (RTCP_PSFB_PLI, RTCP_PSFB_FIR):
                on_lost_picture()
            elif packet.fmt == RTCP_PSFB_APP:
                _estimate(packet, sender._ssrc, bitrate)

    sender._handle_rtcp_packet = heard  # type: ignore[method-assign]  # see above


def _estimate(packet: RtcpPsfbPacket, ssrc: int, bitrate: Bitrate) -> None:
    try:
        bits_per_s, ssrcs = unpack_remb_fci(packet.fci)
    except ValueError:
        return  # another use of the same type
    if ssrc in ssrcs:
        bitrate.estimated(bits_per_s / 1000)
