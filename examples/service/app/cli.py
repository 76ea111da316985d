"""The command line of the service."""

import asyncio

import click

from app.client import Client


@click.group()
def cli():
    """Look after jobs."""


@cli.command()
@click.argument("url")
def jobs(url):
    """List the open jobs."""
    client = Client(url)
    asyncio.run(client.connect())
    found = asyncio.run(client.jobs())
    asyncio.run(client.close())
    for job in found:
        click.echo(f"{job['id']}  {job['title']}")


if __name__ == "__main__":
    cli()
