"""How a conversation is picked up after its connection broke.

Revision: 0002, on 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "resumption",
        sa.Column("conversation_id", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("token_digest", sa.String(64), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("rest", sa.JSON(), nullable=False),
        sa.Column("until_ms", sa.BigInteger()),
        sa.Column("claimed_at_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("conversation_id", name="pk_resumption"),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversation.id"], name="fk_resumption_conversation_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_resumption_token_digest", "resumption", ["token_digest"])


def downgrade() -> None:
    op.drop_table("resumption")
