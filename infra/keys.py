"""`make key` and `make keys`: a stack's API keys, made, rotated, revoked and listed with the caller's own permissions.

The key's text alone goes to stdout, where a script can take it; all else that is said goes to stderr.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import settings
from chalicelib.domain.access import (
    TRIGGER_API_BUNDLES,
    WORKFLOW_RUNS_API_BUNDLES,
    WORKFLOWS_API_BUNDLES,
    ApiKey,
    Scope,
    scopes_of,
)
from chalicelib.domain.refusal import NotFound, Refusal
from chalicelib.services import authentication, identifiers, keys, projects
from chalicelib.store import table
from chalicelib.store.errors import StoreError
from infra import command_line, stacks
from infra.command_line import shown
from infra.stacks import Aws, Stack
from infra.trouble import Trouble, explained, of_system, run

#: The project that every deployment begins with.
DEFAULT_PROJECT: Final = "proj_default"
_DEFAULT_NAME: Final = "Default"
#: The name of a deployment's first key.
FIRST_KEY: Final = "first"

_DAYS: Final = re.compile(r"(\d{1,6})d", re.ASCII)
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
#: A key's id, as authentication takes it.
_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
#: How much of what is no id is repeated: too little to be a secret.
_SHOWN_OF_A_KEY: Final = 20
_PAGE: Final = 100
_A_MINUTE: Final = "the old one may work for a minute more where it was just used"


def first(aws: Aws, stack: Stack) -> str | None:
    """Have the default project with its connection and a key with every scope; return the key's text, this once.

    None where the project has a key already, so that whoever was cut off before the key was made asks again and
    finishes. Two who ask at once may each be given a key; both are good, and both are listed.
    """
    now = datetime.now(UTC)
    with _as_the_stack(aws, stack), _told("make the first key"):
        projects.ensure(DEFAULT_PROJECT, name=_DEFAULT_NAME, now=now)
        if keys.page(DEFAULT_PROJECT, cursor=None, limit=1).items:
            return None
        return keys.create(DEFAULT_PROJECT, name=FIRST_KEY, scopes=list(Scope), now=now).text


def create(given: Mapping[str, str]) -> None:
    """Make a key. All that can be refused without asking AWS is refused before."""
    now = datetime.now(UTC)
    words = _scopes(given.get("SCOPES", ""))
    expires_at = _expiry(given["EXPIRES"], now=now) if "EXPIRES" in given else None
    project_id = _project_id(given)
    aws, stack = _stack(given)
    with _as_the_stack(aws, stack), _told("make a key"):
        _have_project(project_id, given.get("NEW_PROJECT", ""), stack, now=now)
        # Whoever is cut off before the text is shown has made a key that nobody can use; `make keys` lists it.
        made = keys.create(project_id, name=given["NAME"], scopes=words, now=now, expires_at=expires_at)
    ends = f"until {_moment(expires_at)}" if expires_at else "for ever"
    _say(f"{stack.name}, {project_id}: the key {made.key.name} ({made.key.id}) works {ends} and may do")
    _say(f"  {_named(made.key.scopes)}")
    _show(made, given["STAGE"])


def rotate(given: Mapping[str, str]) -> None:
    """Give a key a new text."""
    key_id = _key_id(given, "ROTATE")
    aws, stack = _stack(given)
    with _as_the_stack(aws, stack), _told(f"rotate {key_id}"):
        made = keys.rotate(_owner(key_id, given), key_id, now=datetime.now(UTC))
    _say(f"{stack.name}, {made.key.project_id}: the key {made.key.name} ({key_id}) has a new text; {_A_MINUTE}")
    _show(made, given["STAGE"])


def revoke(given: Mapping[str, str]) -> None:
    """End a key for good."""
    key_id = _key_id(given, "REVOKE")
    aws, stack = _stack(given)
    with _as_the_stack(aws, stack), _told(f"revoke {key_id}"):
        ended = keys.revoke(_owner(key_id, given), key_id, now=datetime.now(UTC))
    since = _moment(ended.revoked_at)
    _say(f"{stack.name}, {ended.project_id}: the key {ended.name} ({key_id}) is revoked since {since}")
    _say("it may work for a minute more where it was just used")


def show(given: Mapping[str, str]) -> None:
    """List a project's keys, the newest first, and nothing of their secrets."""
    project_id = _project_id(given)
    aws, stack = _stack(given)
    with _as_the_stack(aws, stack), _told("list the keys"):
        _known_project(project_id, stack)
        rows = [_row(key) for key in _all(project_id)]
    if not rows:
        _say(f"{stack.name}, {project_id}: no keys")
        return
    rows.insert(0, ("id", "name", "created", "expires", "last used", "revoked", "scopes"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


#: What is done, by the name that asks for it, and what else may be given.
ACTIONS: Final[Mapping[str, tuple[Callable[[Mapping[str, str]], None], frozenset[str]]]] = MappingProxyType(
    {
        "NAME": (create, frozenset({"SCOPES", "EXPIRES", "PROJECT", "NEW_PROJECT"})),
        "ROTATE": (rotate, frozenset({"PROJECT"})),
        "REVOKE": (revoke, frozenset({"PROJECT"})),
        "LIST": (show, frozenset({"PROJECT"})),
    }
)
_KNOWN: Final = ("STAGE", "NAME", "SCOPES", "EXPIRES", "PROJECT", "NEW_PROJECT", "ROTATE", "REVOKE", "LIST")


def act(arguments: Sequence[str]) -> None:
    """Do what the arguments (``NAME=value``) ask for."""
    given = command_line.read(arguments, known=_KNOWN)
    asked = [name for name in ACTIONS if name in given]
    if len(asked) != 1:
        raise Trouble('give one of NAME= with SCOPES="…" (a new key), ROTATE=<key id>, REVOKE=<key id>')
    [name] = asked
    do, takes = ACTIONS[name]
    beside = given.keys() - takes - {"STAGE", name}
    if beside:
        raise Trouble(f"{name}= does not go with {', '.join(sorted(beside))}=")
    do(given)


def _scopes(text: str) -> list[str]:
    words = text.replace(",", " ").split()
    if not words:
        raise Trouble(f"SCOPES= says what the key may do; {_offered()}")
    for word in words:
        try:
            scopes_of([word])
        except ValueError as error:
            raise Trouble(f"there is no scope {shown(word)}; {_offered()}") from error
    return words


def _offered() -> str:
    bundles = (TRIGGER_API_BUNDLES, WORKFLOW_RUNS_API_BUNDLES, WORKFLOWS_API_BUNDLES)
    words = {word for bundle in bundles for word in bundle} - set(Scope)
    return f"there are {', '.join(Scope)}, and for several of them {', '.join(sorted(words))}"


def _expiry(text: str, *, now: datetime) -> datetime:
    try:
        at = _end(text, now)
    except (ValueError, OverflowError) as error:
        said = f"EXPIRES={shown(text)} is neither a day such as 2027-01-01 (its beginning, UTC) nor 90d"
        raise Trouble(said) from error
    if at <= now:
        raise Trouble(f"EXPIRES={text} is past")
    return at


def _end(text: str, now: datetime) -> datetime:
    days = _DAYS.fullmatch(text)
    if days:
        return now + timedelta(days=int(days[1]))
    if not _DAY.fullmatch(text):
        raise ValueError(text)
    return datetime.combine(date.fromisoformat(text), time(), UTC)


def _key_id(given: Mapping[str, str], name: str) -> str:
    """Return the id of the key that is meant, also where its whole text was given, of which nothing is repeated."""
    text = given[name].strip()
    whole = authentication.split(text)
    if whole is not None:
        return whole[0]
    if not _ID.fullmatch(text):
        begins = shown(text, _SHOWN_OF_A_KEY)
        raise Trouble(f"{name}={begins} is no key's id: letters, digits and hyphens, as make keys lists it")
    return text


def _project_id(given: Mapping[str, str]) -> str:
    project_id = given.get("PROJECT", DEFAULT_PROJECT)
    if not identifiers.FORM.fullmatch(project_id):
        raise Trouble(f"PROJECT={shown(project_id)!r} is no id: 1 to 128 letters, digits, hyphens and underscores")
    return project_id


def _stack(given: Mapping[str, str]) -> tuple[Aws, Stack]:
    name = stacks.name_of(given.get("STAGE", ""))
    aws = Aws.of_caller()
    return aws, stacks.load(aws, name)


def _have_project(project_id: str, new_name: str, stack: Stack, *, now: datetime) -> None:
    """Have the project whole. One that was not there before is made only where its name was given."""
    try:
        name = projects.load(project_id).name
    except NotFound:
        name = new_name or (_DEFAULT_NAME if project_id == DEFAULT_PROJECT else "")
        if not name:
            raise Trouble(_unknown(project_id, stack) + ', or NEW_PROJECT="Its name" makes it') from None
    if new_name and name != new_name:
        raise Trouble(f"{project_id} is there already and is called {name}: leave NEW_PROJECT away")
    # Of two who make it at once, the first has named it: the other's key is of the same project all the same.
    projects.ensure(project_id, name=name, now=now)


def _known_project(project_id: str, stack: Stack) -> None:
    try:
        projects.load(project_id)
    except NotFound:
        raise Trouble(_unknown(project_id, stack)) from None


def _unknown(project_id: str, stack: Stack) -> str:
    return f"there is no project {project_id} in {stack.name}: check PROJECT="


def _owner(key_id: str, given: Mapping[str, str]) -> str:
    """Return the project of the key, which must be the one that was given, if one was."""
    owner = keys.project_of(key_id)
    if given.get("PROJECT", owner) != owner:
        raise NotFound("API key not found")
    return owner


def _all(project_id: str) -> Iterator[ApiKey]:
    cursor: str | None = None
    while True:
        page = keys.page(project_id, cursor=cursor, limit=_PAGE)
        yield from page.items
        cursor = page.cursor
        if cursor is None:
            return


def _row(key: ApiKey) -> tuple[str, ...]:
    expires = _moment(key.expires_at) if key.expires_at else "never"
    used = _moment(key.last_used_at) if key.last_used_at else "never"
    revoked = _moment(key.revoked_at) if key.revoked_at else "no"
    return key.id, key.name, _moment(key.created_at), expires, used, revoked, _named(key.scopes)


def _named(scopes: frozenset[Scope]) -> str:
    return " ".join(scope for scope in Scope if scope in scopes)


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%MZ}" if at else ""


def _show(made: keys.Issued, stage: str) -> None:
    _say("its text, which is shown this once:")
    try:
        _write(made.text)
    except OSError as error:
        ends = f"make key STAGE={stage} REVOKE={made.key.id} ends the key, whose text nobody saw"
        raise Trouble(f"the text could not be written ({of_system(error)}): {ends}") from error


def _write(text: str) -> None:
    if sys.stdout is None:
        raise OSError("stdout is closed")
    print(text, flush=True)


def _say(line: str) -> None:
    # What it says beside the key is no reason to lose the key.
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


@contextmanager
def _as_the_stack(aws: Aws, stack: Stack) -> Iterator[None]:
    """Have the services work on the stack's table, with its secret and the caller's own credentials.

    The credentials are handed over, not found anew: a profile that wants an MFA code would ask for it twice.
    """
    pepper = stacks.find_pepper(aws, stack.name)
    if pepper is None:
        name = stacks.pepper_name(stack.name)
        raise Trouble(
            f"{stack.name} has no secret in the parameter {name}: put the old one back, or have make deploy make a new"
            " one, under which no key made before works"
        )
    with explained("sign in"):
        found = aws.session.get_credentials()
        caller = found.get_frozen_credentials() if found else None
    variables = {
        "AWS_REGION": aws.region,
        "AWS_DEFAULT_REGION": aws.region,
        "STEPWELL_TABLE": stack.parameters.get("RestoredTable") or stack.output("TableName"),
        "STEPWELL_KEY_PEPPER": pepper,
        "AWS_ACCESS_KEY_ID": caller and caller.access_key,
        "AWS_SECRET_ACCESS_KEY": caller and caller.secret_key,
        "AWS_SESSION_TOKEN": caller and caller.token,
    }
    before = {name: os.environ.get(name) for name in variables}
    _set(variables)
    try:
        yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    """Have the environment so, and nothing of what the services made of it before."""
    for name, value in variables.items():
        if value:
            os.environ[name] = value
        else:
            os.environ.pop(name, None)
    for kept in (settings, table, authentication):
        kept.reset()


@contextmanager
def _told(doing: str) -> Iterator[None]:
    """Turn what the services decline, and what DynamoDB answers them, into Trouble."""
    try:
        yield
    except Refusal as refusal:
        raise Trouble(f"cannot {doing}: {refusal.message}") from refusal
    except StoreError as error:
        with explained(doing):
            if isinstance(error.__cause__, ClientError | BotoCoreError):
                raise error.__cause__ from None
        raise Trouble(f"cannot {doing}: {error}") from error


def main(arguments: Sequence[str]) -> int:
    """Do what the arguments ask for; return the exit code."""
    return run("make keys" if "LIST=1" in arguments else "make key", lambda: act(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
