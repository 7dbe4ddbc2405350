"""Which WebRTC calls are under way, and which of them are to end.

Revision: 0003, on 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "call",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("began_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("hang_up_at_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_call"),
    )


def downgrade() -> None:
    op.drop_table("call")
