"""What a program that the agent starts sees of the agent's own environment: nothing secret."""

from __future__ import annotations

import os

PASSED_ON = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TMPDIR", "TMP", "TEMP", "SSH_AUTH_SOCK",
    "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "RESTIC_CACHE_DIR", "SYSTEMROOT", "APPDATA",
    "LOCALAPPDATA", "USERPROFILE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "https_proxy",
    "http_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip


def plain_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ}
