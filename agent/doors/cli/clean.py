"""`journeyman clean`: take away what Journeyman left running or cached; nothing of anybody else's."""

from __future__ import annotations

import shutil

import click


@click.command()
def clean() -> int:
    """Remove what Journeyman left on this machine.

    Its containers, images, servers and caches, of every repository, and nothing of anybody else's.
    Sessions and past solutions stay; the next run builds what it needs anew.
    """
    from agent.settings import state_folder
    from memory.redis_server import stop
    from sandbox.engine import connect
    from sandbox.errors import SandboxMissing
    from sandbox.orphans import remove_all

    home = state_folder()
    try:
        client = connect()
    except SandboxMissing as error:
        click.echo(f"containers and images: none can be seen, as {error}")
    else:
        for gone in remove_all(client):
            click.echo(gone)
        client.close()
    click.echo("Redis: stopped" if stop(home) else "Redis: was not running")
    for name in ("demo", "images", "releases", "crashes"):
        shutil.rmtree(home / name, ignore_errors=True)
    click.echo(f"caches below {home}: removed")
    return 0
