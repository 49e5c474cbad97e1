"""mini-swe-agent with the prompts it ships, in an environment that answers from memory."""

from __future__ import annotations

import platform
import sys
from typing import Any

import yaml
from minisweagent.agents.default import DefaultAgent  # type: ignore[import-not-found]
from minisweagent.config import builtin_config_dir  # type: ignore[import-not-found]
from minisweagent.models.litellm_model import LitellmModel  # type: ignore[import-not-found]

from benchmarks.perf import script


class Answering:
    """An environment of mini-swe-agent.

    Args:
        marks: Told of each result.
    """

    def __init__(self, marks: script.Marks) -> None:
        self._marks = marks

    def execute(self, action: dict[str, Any], *_given: Any, **_more: Any) -> dict[str, Any]:
        """What a command shows."""
        self._marks.result()
        return {"output": script.result(action["command"]), "returncode": 0, "exception_info": ""}

    def get_template_vars(self, **more: Any) -> dict[str, Any]:
        """What its prompts name."""
        return platform.uname()._asdict() | more

    def serialize(self) -> dict[str, Any]:
        """Nothing to keep."""
        return {}


def main() -> None:
    """Run the script to its last step."""
    base_url, steps = sys.argv[1], script.as_steps(sys.argv[3])
    marks = script.Marks(steps)
    shipped = yaml.safe_load((builtin_config_dir / "mini.yaml").read_text("utf-8"))
    prompts = {name: shipped["agent"][name] for name in ("system_template", "instance_template")}
    options = {"api_base": base_url, "api_key": "none"} | shipped["model"].pop("model_kwargs", {})
    model = LitellmModel(
        model_name="openai/scripted",
        model_kwargs=options,
        cost_tracking="ignore_errors",
        **shipped["model"],
    )
    DefaultAgent(model, Answering(marks), step_limit=max(steps), **prompts).run(script.TASK)
    marks.show()


if __name__ == "__main__":
    main()
