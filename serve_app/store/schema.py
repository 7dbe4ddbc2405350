"""The tables. A change here needs a migration; a test compares the two.

Dates are milliseconds since the epoch. Texts that a client chooses have no length limit here: sessions bound them.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

conversation = Table(
    "conversation",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("session_id", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("voice", Text, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger),
    Column("end_reason", Text),
    # Deleted while it was running, maybe in another process: an empty row that keeps its writer from bringing it back.
    Column("deleted_at_ms", BigInteger),
    Index(None, "created_at_ms", "id"),
    Index(None, "session_id"),
)

item = Table(
    "item",
    metadata,
    Column("conversation_id", String(64), ForeignKey("conversation.id", ondelete="CASCADE"), primary_key=True),
    # Clients choose item ids, so they are unique only within their conversation.
    Column("id", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("type", String(32), nullable=False),
    Column("role", String(32)),
    Column("status", String(32)),
    # What Realtime's item has beside the columns here: `content`, or a call's `call_id`, `name`, `arguments`, `output`.
    Column("body", JSON, nullable=False),
    Column("heard_ms", Integer),
    Column("heard_text", Text),
    Column("created_at_ms", BigInteger, nullable=False),
    Index(None, "conversation_id", "position"),
)

usage = Table(
    "usage",
    metadata,
    Column("conversation_id", String(64), ForeignKey("conversation.id", ondelete="CASCADE"), primary_key=True),
    Column("response_id", Text, primary_key=True),
    Column("input_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("input_audio_ms", Integer, nullable=False),
    Column("output_audio_ms", Integer, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
)

# How a conversation is picked up after its connection broke.
resumption = Table(
    "resumption",
    metadata,
    Column("conversation_id", String(64), ForeignKey("conversation.id", ondelete="CASCADE"), primary_key=True),
    # The recorder that may write the conversation: one that was taken over writes no more.
    Column("owner", String(64), nullable=False),
    # SHA-256 of the token that opens it once, in hexadecimal digits.
    Column("token_digest", String(64), nullable=False),
    # Realtime's session, without its id.
    Column("settings", JSON, nullable=False),
    # What the assistant still owed when the connection broke.
    Column("rest", JSON, nullable=False),
    # Until when; none while the connection holds, as far as its process knows.
    Column("until_ms", BigInteger),
    # Somebody who has the token waits for the owner to hand over.
    Column("claimed_at_ms", BigInteger),
    Index(None, "token_digest"),
)

# A face that somebody uploaded.
avatar = Table(
    "avatar",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    # PNG or JPEG, as the Avatar stage is sent it.
    Column("picture", LargeBinary, nullable=False),
    # Where the parts of the face are, as it was sent; an empty object: the engine finds them.
    Column("description", JSON, nullable=False),
    # A JPEG of its first video frame.
    Column("preview", LargeBinary, nullable=False),
    # Of the video.
    Column("width_px", Integer, nullable=False),
    Column("height_px", Integer, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Index(None, "created_at_ms", "id"),
)

# A voice that somebody recorded, to be imitated.
voice = Table(
    "voice",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    # ISO 639-1 of what it speaks in the recording; empty: not known.
    Column("language", String(16), nullable=False),
    # What is said in the recording; empty: not known.
    Column("text", Text, nullable=False),
    # 24 kHz, as the Tts stage is sent it.
    Column("pcm", LargeBinary, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Index(None, "created_at_ms", "id"),
)

# A WebRTC call that is under way. Gone with the call, or after a while when its replica was killed.
call = Table(
    "call",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("began_at_ms", BigInteger, nullable=False),
    # Somebody wants it to end; the replica that holds it looks for that.
    Column("hang_up_at_ms", BigInteger),
)
