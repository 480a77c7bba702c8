"""`python -m agent run`: the agent without the rest of the command line."""

from __future__ import annotations

from agent.commands import app

if __name__ == "__main__":
    app()
