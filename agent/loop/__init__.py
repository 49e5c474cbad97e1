"""The LangGraph loop: recall, plan, act, verify, remember."""
