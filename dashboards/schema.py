#!/usr/bin/env python3
"""Compares boards with the types that Grafana Labs publishes for one version of Grafana.

The types come as the Python package grafana-foundation-sdk, in one build for each version of
Grafana; the check uses the build on PYTHONPATH. Each board is decoded into its classes, and every
value is compared with the JSON it came from: the classes drop what they do not know, add what they
require and the file lacks, and their annotations show a value of a different type. Prints one
complaint a line and exits with 1; without complaints it exits with 0 and prints nothing.

    PYTHONPATH=~/.cache/ringkv/grafana-sdk/11.0 python3 dashboards/schema.py dashboards/*.json

Left untyped by Grafana, and so not looked into: the values of a field's overrides, the options of
matchers and transformations, and the query of a variable. Expressions are Prometheus's business.
"""

import enum
import functools
import json
import pathlib
import re
import sys
import types
import typing

from grafana_foundation_sdk.cog import plugins, runtime
from grafana_foundation_sdk.models import dashboard

LOST = "lost: the schema has no place for it"
MISSING = "missing: the schema requires it"

# What may be lost or missing: a pattern over a path without its indexes, and why.
ALLOWED = [
    (LOST, r"id", "null, as in every file: Grafana assigns the id when it imports the board"),
    (LOST, r"annotations\.list\.(step|titleFormat)",
     "Grafana's Prometheus data source reads them; the schema stops at what all sources share"),
    (LOST, r"annotations\.list\.target\.(expr|interval|refId)",
     "the schema has the target of Grafana's own data source, not that of Prometheus"),
    (MISSING, r"annotations\.list\.target\.(limit|matchAny|tags|type)", "the same"),
    (LOST, r"templating\.list\.definition", "Grafana's editor of variables writes it for its list"),
    (MISSING, r"links\.(tags|asDropdown|targetBlank)", "no tags and twice false, when absent"),
    (MISSING, r"panels\.(fieldConfig\.defaults\.)?links\.(type|icon|tooltip|tags|asDropdown"
     r"|includeVars|keepTime)", "the schema takes links of panels for links of a board"),
    (MISSING, r"panels\.options\..*", "Grafana fills them in from the panel plugin's own defaults"),
    (MISSING, r"templating\.list\.current\.(text|value)",
     "no data source is chosen in the file: Grafana chooses when it opens the board"),
]


class Complaint(typing.NamedTuple):
    path: str
    what: str
    panel: str = ""

    def allowed_by(self):
        """The entries of ALLOWED that this falls under."""
        plain = re.sub(r"\[\d+\]", "", self.path)
        return [entry for entry in ALLOWED
                if entry[0] == self.what and re.fullmatch(entry[1], plain)]

    def __str__(self):
        where = f"{self.path} (panel {self.panel!r})" if self.panel else self.path
        return f"{where}: {self.what}"


class Field(typing.NamedTuple):
    hint: object
    is_required: bool


@functools.cache
def fields(cls):
    """The fields of a class of the schema by their names in JSON.

    The classes rename fields for Python and give everything a default, so neither names nor
    requirements can be read off. Their encoder knows both: it is run over an object whose
    attributes hold their own names, and over one without any value.
    """
    hints = typing.get_type_hints(cls)
    attributes = cls.to_json(types.SimpleNamespace(**{name: name for name in hints}))
    required = cls.to_json(types.SimpleNamespace(**dict.fromkeys(hints)))
    return {key: Field(hints[attribute], key in required) for key, attribute in attributes.items()}


def below(path, key):
    return f"{path}.{key}" if path else key


def alternatives(hint):
    """The types that a hint allows: those of a union, else itself."""
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return typing.get_args(hint) if is_union else (hint,)


def words(kind):
    """The values of an enumeration; None for any other type."""
    if typing.get_origin(kind) is typing.Literal:
        return list(typing.get_args(kind))
    if isinstance(kind, enum.EnumMeta):
        return [member.value for member in kind]
    return None


def fits(value, kind):
    if kind in (object, typing.Any):
        return True
    if words(kind) is not None:
        return any(type(value) is type(word) and value == word for word in words(kind))
    if kind is float:
        return type(value) in (int, float)
    return type(value) is (typing.get_origin(kind) or kind)


def misfit(value, hint):
    """What is said of a value that is of none of the hint's types."""
    kinds = [kind for kind in alternatives(hint) if kind is not types.NoneType]
    names = [f"one of {json.dumps(words(kind))}" if words(kind) is not None else
             str(kind) if typing.get_origin(kind) else kind.__name__ for kind in kinds]
    return f"{json.dumps(value)} is not {' or '.join(names)}"


def compare(value, decoded, hint, path):
    """Complaints about a value of the file, which the schema has decoded under this hint."""
    kinds = alternatives(hint)
    if isinstance(decoded, dict):
        # The package decodes neither the links nor the transformations of a panel.
        known = [kind for kind in kinds if hasattr(kind, "from_json")]
        decoded = known[0].from_json(decoded) if known else decoded
    lists = [kind for kind in kinds if typing.get_origin(kind) is list]
    if isinstance(decoded, runtime.UnknownDataquery):
        yield Complaint(path, "a query of no data source that the schema knows")
    elif hasattr(decoded, "to_json"):
        yield from compare_object(value, decoded, hint, path)
    elif isinstance(value, list) and lists:
        [item] = typing.get_args(lists[0])
        for index, pair in enumerate(zip(value, decoded, strict=True)):
            yield from compare(*pair, item, f"{path}[{index}]")
    elif not any(fits(value, kind) for kind in kinds):
        yield Complaint(path, misfit(value, hint))
    elif value != decoded:
        yield Complaint(path, f"changed: {json.dumps(value)} became {json.dumps(decoded)}")


def compare_object(value, decoded, hint, path):
    """The same for an object: its fields, one by one, with the panel's title when it is a panel."""
    if not isinstance(value, dict):
        yield Complaint(path, misfit(value, hint))
        return
    known, encoded = fields(type(decoded)), decoded.to_json()
    complaints = []
    for key, inner in value.items():
        inner_path = below(path, key)
        if key not in known or key not in encoded:
            complaints.append(Complaint(inner_path, LOST))
        else:
            complaints += compare(inner, encoded[key], known[key].hint, inner_path)
    complaints += [Complaint(below(path, key), MISSING)
                   for key, field in known.items() if field.is_required and key not in value]
    if isinstance(decoded, dashboard.Panel):
        complaints += compare_plugin(decoded, path)
    if isinstance(decoded, (dashboard.Panel, dashboard.RowPanel)):
        # A panel inside a row has put its own title there already.
        complaints = [complaint._replace(panel=complaint.panel or decoded.title or "untitled")
                      for complaint in complaints]
    yield from complaints


def compare_plugin(panel, path):
    """The package accepts every value where the type of a panel has no schema."""
    if runtime.panelcfg_config(panel.type_val) is None:
        yield Complaint(below(path, "type"), f"{json.dumps(panel.type_val)} is no type of panel")
    elif panel.field_config and isinstance(panel.field_config.defaults.custom, dict):
        custom = below(path, "fieldConfig.defaults.custom")
        yield Complaint(custom, f"panels of type {panel.type_val} have no such fields")


def of_board(path):
    """All complaints about one file, those that are allowed too."""
    value = json.loads(path.read_text())
    try:
        decoded = dashboard.Dashboard.from_json(value)
        return list(compare(value, decoded, dashboard.Dashboard, ""))
    # The package checks nothing: a value of another shape fails wherever it is first used.
    except Exception as error:
        return [Complaint("the whole board", f"cannot be decoded: {error!r}")]


def main():
    plugins.register_default_plugins()
    lines, unused = [], list(ALLOWED)
    for path in map(pathlib.Path, sys.argv[1:]):
        for complaint in of_board(path):
            allowed_by = complaint.allowed_by()
            unused = [entry for entry in unused if entry not in allowed_by]
            if not allowed_by:
                lines.append(f"{path.name}: {complaint}")
    lines += [f"nothing is {what.split(':')[0]} at {pattern} any more: allow it no longer"
              for what, pattern, _ in unused]
    print("\n".join(lines), end="\n" if lines else "")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
