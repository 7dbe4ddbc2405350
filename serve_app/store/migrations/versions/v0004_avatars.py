"""Faces that somebody uploaded.

Revision: 0004, on 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "avatar",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("picture", sa.LargeBinary(), nullable=False),
        sa.Column("description", sa.JSON(), nullable=False),
        sa.Column("preview", sa.LargeBinary(), nullable=False),
        sa.Column("width_px", sa.Integer(), nullable=False),
        sa.Column("height_px", sa.Integer(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_avatar"),
    )
    op.create_index("ix_avatar_created_at_ms_id", "avatar", ["created_at_ms", "id"])


def downgrade() -> None:
    op.drop_table("avatar")
