"""The LangGraph loop: recall, plan, act, observe, verify, remember."""
