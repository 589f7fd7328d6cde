"""Connections to AWS in the trigger API."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import StringConstraints

from chalicelib.api.bodies import Body
from chalicelib.api.requests import Caller
from chalicelib.api.trigger_api.surface import PageQuery, PageShown, Shown, api, shown_time
from chalicelib.domain.access import Scope
from chalicelib.domain.workflow import Connection
from chalicelib.services import connections

Region = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+){1,3}-[0-9]{1,2}$", max_length=32)]
RoleArn = Annotated[
    str,
    StringConstraints(pattern=r"^arn:aws[a-z-]{0,20}:iam::[0-9]{12}:role/[\x21-\x7e]{1,576}$", max_length=2048),
]
ExternalId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+=,.@:/-]{2,1224}$")]


class CreateConnection(Body):
    """An AWS account and region for steps to act in."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"\S")]
    region: Region
    #: The role that steps assume; Stepwell's own where it is absent.
    role_arn: RoleArn | None = None
    #: What the role's trust policy asks for, so that nobody else can have Stepwell assume it.
    external_id: ExternalId | None = None


class ConnectionShown(Shown):
    """A connection."""

    id: str
    name: str
    region: str
    role_arn: str | None
    external_id: str | None
    created_at: str

    @classmethod
    def of(cls, connection: Connection) -> Self:
        """Return what is shown of a connection."""
        return cls(
            id=connection.id,
            name=connection.name,
            region=connection.region,
            role_arn=connection.role_arn,
            external_id=connection.external_id,
            created_at=shown_time(connection.created_at),
        )


@api.endpoint("POST", "/api/connections", scope=Scope.WORKFLOWS_WRITE, status=201, body=CreateConnection)
def create_connection(caller: Caller, body: CreateConnection) -> ConnectionShown:
    """Create a connection."""
    created = connections.create(
        caller.project_id,
        name=body.name,
        region=body.region,
        role_arn=body.role_arn,
        external_id=body.external_id,
        now=caller.now,
    )
    return ConnectionShown.of(created)


@api.endpoint("GET", "/api/connections", scope=Scope.WORKFLOWS_READ, query=PageQuery)
def list_connections(caller: Caller, query: PageQuery) -> PageShown[ConnectionShown]:
    """List the project's connections; every project has ``conn_default``."""
    page = connections.page(caller.project_id, cursor=query.cursor, limit=query.limit)
    return PageShown[ConnectionShown](data=[ConnectionShown.of(one) for one in page.items], next_cursor=page.cursor)
