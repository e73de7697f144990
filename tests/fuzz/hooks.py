"""How Schemathesis speaks to the server: nested parameters in brackets, and ids that name something."""

import json
import os
import pathlib
import random

import schemathesis

IDS = json.loads(pathlib.Path(os.environ["DUNLIN_IDS"]).read_text())
EVERY = [one for ids in IDS.values() for one in ids]
# What is named by another name than its own, and texts that are no ids but not any text either.
ALSO = {
    "charge": IDS["charges"],
    "currency": ["usd", "eur", "jpy"],
    "default_payment_method": IDS["payment_methods"],
    "email": ["ada@example.com"],
    "ending_before": EVERY,
    "query": ["created>0", "metadata['a']:'b'", "-status:'x' AND created<9", "email~'ada'", "name:null"],
    "starting_after": EVERY,
    "type": ["card"],
    "unit_amount_decimal": ["1000", "0.5"],
}


def flat(name, value):
    """`items[0][price]`, as the official libraries write it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(f"{name}[{key}]", inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from flat(f"{name}[{index}]", inner)
    elif isinstance(value, bool):
        yield name, "true" if value else "false"
    else:
        yield name, "" if value is None else str(value)


def flattened(parameters):
    return dict(pair for name, value in (parameters or {}).items() for pair in flat(name, value))


def named(value, place, chance):
    """The value with its texts replaced, now and then, by ids that fit their place."""
    if isinstance(value, dict):
        return {key: named(inner, key, chance) for key, inner in value.items()}
    if isinstance(value, list):
        return [named(inner, place, chance) for inner in value]
    known = ALSO.get(place) or IDS.get(f"{place}s")
    return chance.choice(known) if isinstance(value, str) and known and chance.random() < 0.8 else value


def chance_for(value):
    return random.Random(json.dumps(value, sort_keys=True, default=str))


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    if not path_parameters:
        return path_parameters
    words = context.operation.path.split("/")
    kind = next((word for word in words if word in IDS), None)
    chance = chance_for(path_parameters)
    known = IDS.get(kind) or EVERY
    return {name: chance.choice(known) if chance.random() < 0.8 else value for name, value in path_parameters.items()}


@schemathesis.hook
def map_query(context, query):
    return flattened(named(query, "", chance_for(query))) if isinstance(query, dict) else query


@schemathesis.hook
def map_body(context, body):
    return flattened(named(body, "", chance_for(body))) if isinstance(body, dict) else body
