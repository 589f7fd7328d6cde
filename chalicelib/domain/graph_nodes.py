"""The nodes of a graph, read one by one: their ids, types, data, retries and timeouts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from chalicelib.domain import graph_checks as check
from chalicelib.domain.definition import StepType
from chalicelib.domain.graph_fields import FIELDS, read_data
from chalicelib.domain.graph_problems import Place, shown
from chalicelib.domain.references import Found
from chalicelib.domain.retry import Backoff, RetryPolicy
from chalicelib.domain.scope import BUILT_IN
from chalicelib.domain.template_tree import too_deep
from chalicelib.domain.value import Json
from chalicelib.domain.workflow import WorkflowKind

MOST_NODES = 1000
LONGEST_ID = 100
LONGEST_NAME = 255
MOST_RETRIES = 100
#: How deep a node's data may nest.
DEEPEST_DATA = 64

#: No space, dot, slash, hash, quote, brace, backtick, or character that cannot be seen.
_ID = re.compile(r"[^\s./#'\"`{}\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_NODE_FIELDS = ("id", "type", "name", "data", "config")
#: What graph editors keep in a node for themselves; it is saved with the graph and means nothing to the engine.
_DRAWN = ("position", "version", "provider")

#: How steps are retried that say nothing of it; all others are not.
DEFAULT_RETRIES: Mapping[StepType, RetryPolicy] = {
    StepType.HTTP_REQUEST: RetryPolicy(limit=5, delay=timedelta(seconds=10), backoff=Backoff.EXPONENTIAL),
}
#: A function answers within its request: it cannot wait.
WAITING = frozenset(
    {StepType.SLEEP, StepType.SLEEP_UNTIL, StepType.WAIT_FOR_EVENT, StepType.APPROVAL, StepType.AGENT},
)


@dataclass(frozen=True, kw_only=True)
class GraphNode:
    """A node as far as it could be read."""

    id: str
    name: str
    #: None where there is no such type.
    type: StepType | None
    config: Mapping[str, Json] = field(default_factory=dict)
    #: What each field of the data refers to.
    reads: Mapping[str, Found] = field(default_factory=dict)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    timeout: timedelta | None = None
    place: Place


def read_nodes(nodes: Json, place: Place, *, kind: WorkflowKind) -> dict[str, GraphNode]:
    """Return the nodes by id, in their order, and note what is wrong with them."""
    if not isinstance(nodes, list | tuple):
        place.refuse("nodes must be a list")
        return {}
    if not nodes:
        place.refuse("a graph needs at least one node")
    if len(nodes) > MOST_NODES:
        place.refuse(f"a graph may have {MOST_NODES} nodes at most; this one has {len(nodes)}")
        return {}
    found: dict[str, GraphNode] = {}
    for at, given in enumerate(nodes):
        node = _node(given, place.at(at), kind)
        if node is None:
            continue
        if node.id in found:
            node.place.at("id").refuse(f"there is another node with the id {shown(node.id)}")
        else:
            found[node.id] = node
    return found


def _node(given: Json, place: Place, kind: WorkflowKind) -> GraphNode | None:
    if not isinstance(given, Mapping):
        place.refuse("a node is an object {id, type, name, data, config?}")
        return None
    node_id = given.get("id")
    place = place.of(node_id) if isinstance(node_id, str) and len(node_id) <= LONGEST_ID else place
    place.refuse_unknown(given, known=_NODE_FIELDS, ignored=_DRAWN)
    step_type = _type(given.get("type"), place.at("type"), kind)
    name = _name(given.get("name"), place.at("name"))
    retry, timeout = _config(given.get("config"), place.at("config"), step_type)
    node = GraphNode(
        id=node_id if isinstance(node_id, str) else "",
        name=name,
        type=step_type,
        retry=RetryPolicy() if kind is WorkflowKind.SCRIPT else retry,
        timeout=timeout,
        place=place,
    )
    node = _with_data(node, given.get("data", {}), kind)
    return node if _is_id(node_id, place.at("id")) else None


def _is_id(node_id: Json, place: Place) -> bool:
    if not isinstance(node_id, str) or not node_id:
        place.refuse("an id is required, as text")
    elif len(node_id) > LONGEST_ID:
        place.refuse(f"an id may be {LONGEST_ID} characters long at most")
    elif _ID.fullmatch(node_id) is None:
        place.refuse("an id holds no spaces, dots, slashes, # marks, quotes, braces or backticks")
    elif node_id in BUILT_IN:
        place.refuse(f"{shown(node_id)} already means something in templates; choose another id")
    else:
        return True
    return False


def _type(given: Json, place: Place, kind: WorkflowKind) -> StepType | None:
    try:
        step_type = StepType(given) if isinstance(given, str) else None
    except ValueError:
        step_type = None
    if step_type not in FIELDS:
        place.refuse(f"the type must be one of {', '.join(FIELDS)}")
        return None
    if kind is WorkflowKind.SCRIPT and step_type in WAITING:
        place.refuse(f"a script cannot wait: it has no {step_type} steps")
    return step_type


def _name(given: Json, place: Place) -> str:
    if not isinstance(given, str) or not given.strip():
        place.refuse("a name is required, as text")
        return ""
    if len(given) > LONGEST_NAME:
        place.refuse(f"a name may be {LONGEST_NAME} characters long at most")
    return given


def _with_data(node: GraphNode, data: Json, kind: WorkflowKind) -> GraphNode:
    place = node.place.at("data")
    if not isinstance(data, Mapping):
        place.refuse("data must be an object")
        return node
    if too_deep(data, deepest=DEEPEST_DATA):
        place.refuse(f"data may nest {DEEPEST_DATA} levels deep at most")
        return node
    if node.type is None:
        return node
    reading = read_data(node.type, data, place)
    waits = node.type is StepType.SUB_WORKFLOW and reading.config.get("waitForCompletion") is True
    if waits and kind is WorkflowKind.SCRIPT:
        place.at("waitForCompletion").refuse("a script cannot wait: set waitForCompletion to false")
    return replace(node, config=reading.config, reads=reading.reads)


def _config(given: Json, place: Place, step_type: StepType | None) -> tuple[RetryPolicy, timedelta | None]:
    default = DEFAULT_RETRIES.get(step_type, RetryPolicy()) if step_type else RetryPolicy()
    if given is None:
        return default, None
    if not isinstance(given, Mapping):
        place.refuse("config must be an object {retries?, timeout?}")
        return default, None
    place.refuse_unknown(given, known=("retries", "timeout"))
    timeout = given.get("timeout")
    within = check.fixed_duration(timeout, place.at("timeout")) if timeout is not None else None
    if within is not None and not within:
        place.at("timeout").refuse("a timeout is longer than nothing")
    if within is not None and step_type is StepType.AGENT:
        place.at("timeout").refuse("an agent has its time-out in its data: timeoutMs")
    return _retries(given.get("retries"), place.at("retries"), default), within


def _retries(given: Json, place: Place, default: RetryPolicy) -> RetryPolicy:
    if given is None:
        return default
    if not isinstance(given, Mapping):
        place.refuse("retries must be an object {limit, delay, backoff}")
        return default
    place.refuse_unknown(given, known=("limit", "delay", "backoff"))
    limit = given.get("limit", default.limit)
    if isinstance(limit, bool) or not isinstance(limit, int) or not 0 <= limit <= MOST_RETRIES:
        place.at("limit").refuse(f"limit must be a whole number from 0 to {MOST_RETRIES}")
        limit = default.limit
    delay = check.fixed_duration(given["delay"], place.at("delay")) if "delay" in given else None
    backoff = given.get("backoff", default.backoff)
    if not isinstance(backoff, str) or backoff not in tuple(Backoff):
        place.at("backoff").refuse(f"backoff must be one of {', '.join(Backoff)}")
        backoff = default.backoff
    delay = default.delay if delay is None else delay
    return RetryPolicy(limit=limit, delay=delay, backoff=Backoff(backoff), longest=max(default.longest, delay))
