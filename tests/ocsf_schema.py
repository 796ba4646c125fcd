"""Reads the OCSF 1.8.0 schema files and says whether a path exists in a class."""

import json
import re
from pathlib import Path
from typing import Any

SEGMENT = re.compile(r"(\w+)(\[\]|\[\d+\]|\[\w+=\d+\])?$")


class Ocsf:
    """Classes and objects with everything that `extends`, profiles and extensions bring."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.dictionary: dict[str, Any] = self._json("dictionary.json")["attributes"]
        self.objects: dict[str, dict[str, Any]] = {}
        self.events: dict[str, dict[str, Any]] = {}
        self.extension: dict[str, int] = {}
        patches: list[dict[str, Any]] = []
        for base in [root, *sorted((root / "extensions").iterdir())]:
            if (base / "extension.json").exists():
                self.dictionary |= {
                    k: v
                    for k, v in (
                        self._json(str(base / "dictionary.json"))["attributes"].items()
                        if (base / "dictionary.json").exists()
                        else ()
                    )
                    if k not in self.dictionary
                }
            for kind, found in (("objects", self.objects), ("events", self.events)):
                for path in sorted((base / kind).rglob("*.json")):
                    item = json.loads(path.read_text())
                    name = item.get("name")
                    if name is None or name in found:
                        patches.append(item | {"_into": found, "_name": name or item["extends"]})
                        continue
                    found[name] = item
                    if base != root:
                        self.extension[name] = json.loads(
                            (base / "extension.json").read_text()
                        )["uid"]
        for patch in patches:
            patch["_into"][patch["_name"]].setdefault("_patches", []).append(patch)
        self.by_uid = {self.uid(name): name for name in self.events}

    def _json(self, path: str) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.root / path).read_text())
        return loaded

    def uid(self, name: str) -> int:
        """The class_uid of an event class: extension, category and class number."""
        event = self.events[name]
        at: dict[str, Any] = event
        while "category" not in at and "extends" in at:
            at = self.events[at["extends"]]
        categories = self._json("categories.json")["attributes"]
        category = categories.get(at.get("category"), {}).get("uid", 0)
        number = int(event.get("uid", 0))
        return int(self.extension.get(name, 0)) * 100000 + int(category) * 1000 + number

    def attributes(self, item: dict[str, Any], family: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """All attributes of a class or object, with the dictionary's type filled in."""
        found: dict[str, Any] = {}
        parent = item.get("extends")
        if parent and parent in family and family[parent] is not item:
            found |= self.attributes(family[parent], family)
        for part in [item, *item.get("_patches", ())]:
            own = dict(part.get("attributes", {}))
            include = own.pop("$include", [])
            profiles = [include] if isinstance(include, str) else list(include)
            profiles += [
                f"profiles/{p.split('/')[-1]}.json" for p in part.get("profiles", ())
            ]
            for profile in profiles:
                for base in [self.root, *(self.root / "extensions").iterdir()]:
                    if (base / profile).exists():
                        inner = dict(json.loads((base / profile).read_text()).get("attributes", {}))
                        inner.pop("$include", None)
                        found |= inner
            for name, attribute in own.items():
                found[name] = {**found.get(name, {}), **attribute}
        return found

    def base_type(self, attribute: dict[str, Any]) -> str:
        """The attribute's type, down to what it is made of (`string_t`, `long_t`, ...)."""
        types = self._json("dictionary.json")["types"]["attributes"]
        kind = str(attribute["type"])
        while kind != "timestamp_t" and "type" in types.get(kind, {}):
            kind = types[kind]["type"]
        return kind

    def find(self, class_uid: int, path: str) -> dict[str, Any] | None:
        """The attribute at `path` (`process.file.hashes[algorithm_id=3].value`), or None."""
        name = self.by_uid.get(class_uid, "base_event")
        attributes = self.attributes(self.events[name], self.events)
        attribute: dict[str, Any] | None = None
        for segment in path.split("."):
            match = SEGMENT.match(segment)
            if match is None or match[1] not in attributes:
                return None
            attribute = {**self.dictionary.get(match[1], {}), **attributes[match[1]]}
            kind = attribute.get("object_type") or attribute.get("type")
            if kind in self.objects:
                attributes = self.attributes(self.objects[kind], self.objects)
            elif kind == "object_t" and attribute.get("object_type") in self.objects:
                attributes = self.attributes(self.objects[attribute["object_type"]], self.objects)
            else:
                attributes = {}
        return attribute
