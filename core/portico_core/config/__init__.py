"""The core's configuration: one YAML file, or the environment, or nothing, which is the dummy backend alone.

    grpc: 0.0.0.0:50051           # short for {listen: 0.0.0.0:50051}; with drain: 30s

    backends:                     # name -> dialect, the members of that dialect's adapter, and
      local:                      #   models: […]    listed instead of asked for
        dialect: openai           #   timeouts: {…}  where this backend differs
        limit: 20                 #   attempts at a time; queue: calls that may wait for one
        url: http://localhost:8080/v1

    models:                       # public name -> candidates BACKEND/MODEL, in order
      gpt-4: [local/qwen, openai/gpt-4o]
      "claude-*": anthropic/*
      o1: {candidates: azure/o1, unsupported: drop, unknown: refuse}

    default: local/llama3.2       # for a name that nothing else resolves

    namespaces:                   # several backends under one name: azure/gpt-4o
      azure: [azure-east, azure-west]

    allowed_models: [gpt-4, "claude-*"]

    keys: {team-a: ${TEAM_A_KEY}} # one of which every caller shows; or a list without names

    admin_keys: [${ADMIN_KEY}]    # for `portico reload`; without any it is refused

    timeouts: {connect: 5s, silence: 30s, total: 600s}

    admin: 127.0.0.1:9090         # GET /metrics of the core; without it there is no such port

The section ``http`` is the facade's; the core does not look into it. Without a file the environment
makes the configuration (``environment``).
"""

from portico.config import ConfigError
from portico_core.config.reading import load
from portico_core.config.settings import Backend, Concurrency, Config, Grpc, Key, Timeouts

__all__ = ["Backend", "Concurrency", "Config", "ConfigError", "Grpc", "Key", "Timeouts", "load"]
