"""Conversations, their items and what they cost.

Revision: 0001, the first
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "conversation",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("voice", sa.Text(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger()),
        sa.Column("end_reason", sa.Text()),
        sa.Column("deleted_at_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_conversation"),
    )
    op.create_index("ix_conversation_created_at_ms_id", "conversation", ["created_at_ms", "id"])
    op.create_index("ix_conversation_session_id", "conversation", ["session_id"])
    op.create_table(
        "item",
        sa.Column("conversation_id", sa.String(64), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("role", sa.String(32)),
        sa.Column("status", sa.String(32)),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("heard_ms", sa.Integer()),
        sa.Column("heard_text", sa.Text()),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("conversation_id", "id", name="pk_item"),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversation.id"], name="fk_item_conversation_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_item_conversation_id_position", "item", ["conversation_id", "position"])
    op.create_table(
        "usage",
        sa.Column("conversation_id", sa.String(64), nullable=False),
        sa.Column("response_id", sa.Text(), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("input_audio_ms", sa.Integer(), nullable=False),
        sa.Column("output_audio_ms", sa.Integer(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("conversation_id", "response_id", name="pk_usage"),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversation.id"], name="fk_usage_conversation_id", ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    op.drop_table("usage")
    op.drop_table("item")
    op.drop_table("conversation")
