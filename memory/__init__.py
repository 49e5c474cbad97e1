"""What is kept: checkpoints and live records in Redis, past solutions and code knowledge in Qdrant."""

from __future__ import annotations

import os

# LangGraph reads this once, when it is first imported: whoever imports this room first also has
# LangGraph's own serializers strict. `memory/serializer.py` does not depend on it.
os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"
