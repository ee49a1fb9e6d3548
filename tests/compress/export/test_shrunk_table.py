"""A table says sizes, heads, constants and built-in models; whatever else it says is refused."""

import pytest

from spred.compress.export.shrunk_table import Origin, parse
from spred.compress.models.zoo import Facts
from spred.errors import FileError

HEADS = {"num_heads": 2, "dropout": 0.0, "batch_first": True, "alone": False}
MADE = {"name": "mlp", "arguments": {"widths": [8]}, "facts": {"channels": 1, "size": [4, 4], "n_classes": 2}}


def table(origin=None, **modules):
    return {"origin": origin, "modules": modules}


def test_what_is_written_is_read():
    modules = {"0": {"out_features": 3, "in_features": 0}, "a": HEADS, "b": {"constant": True}, "c": {"removed": True}}
    found = parse({"origin": MADE, "modules": modules})
    assert found.modules == modules
    assert found.origin == Origin("mlp", {"widths": [8]}, Facts(1, (4, 4), 2))
    assert parse(table()).origin is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "no table of origin, modules"),
        ({"origin": None, "moDules": {}}, "the key 'moDules', which is not known; did you mean 'modules'"),
        ({"origin": None}, "lacks the key 'modules'"),
        (table() | {"modules": [1]}, "its modules are [1]"),
        (table(a={}), "module 'a' has the entry {}"),
        (table(a=3), "module 'a' has the entry 3"),
        (table(a={"forward": 1}), "would get the attribute 'forward'"),
        (table(a={"__class__": 1}), "would get the attribute '__class__'"),
        (table(a={"out_feature": 1}), "did you mean 'out_features'"),
        (table(a={"num_heads": 0}), "would get the attribute 'num_heads'"),
        (table(a=HEADS | {"num_heads": 0}), "which attention cannot have"),
        (table(a=HEADS | {"dropout": 1e999}), "which attention cannot have"),
        (table(a=HEADS | {"alone": "no"}), "which attention cannot have"),
        (table(a={"constant": "yes"}), "the mark has to be true"),
        (table(a={"out_features": True}), "has to be a whole number"),
        (table(a={"out_features": -1}), "has to be a whole number"),
        (table(a={"out_features": 10**30}), "has to be a whole number"),
        (table(a={"out_features": "os:system"}), "has to be a whole number"),
        (table(MADE | {"code": 1}), "its origin has the key 'code'"),
        (table({"name": "mlp", "arguments": {}}), "its origin lacks the key 'facts'"),
        (table(MADE | {"name": 3}), "it needs the name of a model"),
        (table(MADE | {"facts": {"channels": 0, "size": [4, 4], "n_classes": 2}}), "in whole numbers"),
        (table(MADE | {"facts": {"channels": 1, "size": 4, "n_classes": 2}}), "in whole numbers"),
    ],
)
def test_what_no_table_says_is_refused(content, message):
    with pytest.raises(FileError) as caught:
        parse(content)
    assert message in str(caught.value)
    assert str(caught.value).isprintable()
