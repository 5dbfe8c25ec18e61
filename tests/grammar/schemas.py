"""200 schemas of the kinds that clients send: tool arguments, extraction results, records, plans."""


def obj(required=None, closed=True, **properties):
    """An object; all members required unless said otherwise."""
    out = {"type": "object", "properties": properties,
           "required": list(properties) if required is None else required}
    if closed:
        out["additionalProperties"] = False
    return out


def arr(items, low=None, high=None, **more):
    out = {"type": "array", "items": items, **more}
    if low is not None:
        out["minItems"] = low
    if high is not None:
        out["maxItems"] = high
    return out


def text(low=None, high=None, **more):
    out = {"type": "string", **more}
    if low is not None:
        out["minLength"] = low
    if high is not None:
        out["maxLength"] = high
    return out


def whole(low=None, high=None, **more):
    out = {"type": "integer", **more}
    if low is not None:
        out["minimum"] = low
    if high is not None:
        out["maximum"] = high
    return out


def real(low=None, high=None, **more):
    return {**whole(low, high, **more), "type": "number"}


def one(*values):
    return {"enum": list(values)}


def pattern(regex):
    return {"type": "string", "pattern": regex}


def form(name):
    return {"type": "string", "format": name}


def maybe(schema):
    return {"anyOf": [schema, {"type": "null"}]}


S, I, N, B = {"type": "string"}, {"type": "integer"}, {"type": "number"}, {"type": "boolean"}
DATE, TIME, MAIL, UUID, URI = (form(n) for n in ("date", "date-time", "email", "uuid", "uri"))
CURRENCY = one("CNY", "USD", "EUR", "JPY", "GBP")
COUNTRY = pattern("^[A-Z]{2}$")
POINT = obj(lat=real(-90, 90), lon=real(-180, 180))
MONEY = obj(amount=real(0, 1e9), currency=CURRENCY)
ADDRESS = obj(["city", "country"], street=text(1, 80), city=text(1, 40), zip=pattern("^[0-9]{4,6}$"), country=COUNTRY)
PERSON = obj(["name"], name=text(1, 60), age=whole(0, 130), mail=MAIL, phone=pattern(r"^\+?[0-9]{7,15}$"))

# Tool calls: one schema of arguments each.
TOOLS = [
    obj(["location"], location=text(1, 100), unit=one("celsius", "fahrenheit")),
    obj(["query"], query=text(1, 300), top_k=whole(1, 50), language=one("zh", "en", "any")),
    obj(path=pattern("^/[A-Za-z0-9_./-]{0,80}$"), content=S),
    obj(["path"], path=S, start_line=whole(1), end_line=whole(1), encoding=one("utf-8", "gbk", "latin-1")),
    obj(["command"], command=text(1, 500), timeout_s=whole(1, 600), env={"type": "object", "additionalProperties": S}),
    obj(["to", "subject", "body"], to=arr(MAIL, 1, 5), cc=arr(MAIL, 0, 5), subject=text(1, 120), body=S,
        urgent=B),
    obj(["title", "start"], title=text(1, 80), start=TIME, end=TIME, guests=arr(MAIL, 0, 10), remind_min=whole(0, 1440)),
    obj(expression=pattern(r"^[0-9+*/(). -]{1,60}$")),
    obj(["from", "to", "date"], **{"from": pattern("^[A-Z]{3}$"), "to": pattern("^[A-Z]{3}$"), "date": DATE,
                                    "passengers": whole(1, 9), "cabin": one("economy", "business", "first")}),
    obj(["symbol"], symbol=pattern(r"^[A-Z]{1,5}(\.[A-Z]{2})?$"), interval=one("1m", "5m", "1h", "1d"), limit=whole(1, 500)),
    obj(url=URI, method=one("GET", "POST", "PUT", "DELETE"), headers={"type": "object", "additionalProperties": S},
        body=maybe(S)),
    obj(sql=text(1, 400), parameters=arr({"type": ["string", "number", "boolean", "null"]}, 0, 8)),
    obj(["text", "target"], text=S, source=one("auto", "zh", "en", "ja", "de"), target=one("zh", "en", "ja", "de"),
        formality=one("formal", "informal")),
    obj(["prompt"], prompt=text(1, 400), size=one("512x512", "1024x1024", "1536x1024"), n=whole(1, 4), seed=whole(0, 4294967295)),
    obj(device=pattern("^[a-z]+(_[a-z0-9]+)*$"), action=one("on", "off", "toggle"), level=maybe(whole(0, 100))),
    obj(["old", "new"], old=S, new=S, count=whole(1, 100), regex=B),
    obj(todos=arr(obj(id=whole(1), content=text(1, 100), status=one("pending", "in_progress", "completed")), 1, 12)),
    obj(["city", "nights"], city=S, nights=whole(1, 30), stars=arr(one(3, 4, 5), 1, 3, uniqueItems=True), budget=MONEY),
    obj(["branch"], branch=pattern("^[a-z][a-z0-9/-]{0,40}$"), message=text(1, 200), amend=B, files=arr(S, 0, 20)),
    obj(["iso"], iso=form("duration"), label=S),
]

# Extraction from documents.
EXTRACTS = [
    obj(people=arr(PERSON, 0, 6), places=arr(S, 0, 6), dates=arr(DATE, 0, 6)),
    obj(number=pattern("^[A-Z]{2}-[0-9]{4,8}$"), issued=DATE, seller=S, buyer=S,
        lines=arr(obj(item=S, quantity=whole(1, 9999), price=real(0, 1e6)), 1, 6), total=MONEY),
    obj(sentiment=one("positive", "negative", "neutral"), score=real(-1, 1), reasons=arr(text(1, 80), 1, 4)),
    obj(title=S, authors=arr(S, 1, 8), year=whole(1900, 2100), doi=maybe(pattern(r"^10\.[0-9]{4,9}/[A-Za-z0-9._-]{1,30}$")),
        keywords=arr(text(1, 20), 0, 6, uniqueItems=True)),
    obj(name=S, ingredients=arr(obj(["item"], item=S, amount=N, unit=one("g", "ml", "cup", "tbsp", "piece")), 1, 10),
        steps=arr(S, 1, 10), minutes=whole(1, 600)),
    obj(patient=obj(name=S, birth=DATE, sex=one("f", "m", "x")), diagnoses=arr(obj(code=pattern(r"^[A-Z][0-9]{2}(\.[0-9])?$"),
        text=S), 0, 5), medication=arr(obj(["name", "dose_mg"], name=S, dose_mg=real(0, 5000), per_day=whole(1, 12)), 0, 5)),
    obj(parties=arr(obj(name=S, role=one("lessor", "lessee", "guarantor")), 2, 4), start=DATE, end=DATE,
        rent=MONEY, deposit=maybe(MONEY), clauses=arr(S, 0, 6)),
    obj(entities=arr(obj(text=S, type=one("PER", "ORG", "LOC", "DATE", "MISC"), start=whole(0), end=whole(0)), 0, 8)),
    obj(triples=arr(obj(subject=S, relation=one("born_in", "works_for", "located_in", "part_of"), object=S), 0, 6)),
    obj(headline=text(1, 120), summary=text(1, 400), topics=arr(one("politics", "economy", "sports", "tech", "science"), 1, 3,
        uniqueItems=True)),
    obj(table=arr(arr({"type": ["string", "number", "null"]}, 1, 4), 1, 5), header=arr(S, 1, 4)),
    obj(company=S, ticker=maybe(pattern("^[A-Z]{1,5}$")), revenue=arr(obj(year=whole(1990, 2030), musd=N), 0, 5),
        employees=maybe(whole(0))),
    obj(question=S, choices=arr(obj(key=one("A", "B", "C", "D"), text=S), 4, 4), answer=one("A", "B", "C", "D"), why=S),
    obj(plate=pattern("^[A-Z]{1,3}-[A-Z]{1,2} [1-9][0-9]{0,3}$"), maker=S, year=whole(1950, 2030), color=S, damage=B),
    obj(event=S, when=TIME, where=ADDRESS, price=maybe(MONEY), url=URI),
    obj(skills=arr(obj(["name"], name=S, years=real(0, 60), level=one("junior", "middle", "senior")), 0, 8),
        education=arr(obj(school=S, degree=one("BSc", "MSc", "PhD", "none"), end=maybe(whole(1950, 2035))), 0, 4)),
    obj(language=one("zh", "en", "fr", "de", "es"), confidence=real(0, 1)),
    obj(toxic=B, categories=arr(one("insult", "threat", "spam"), 0, 3, uniqueItems=True), severity=whole(0, 4)),
    obj(ip=form("ipv4"), ip6=maybe(form("ipv6")), host=form("hostname"), ports=arr(whole(1, 65535), 0, 5)),
    obj(code=S, language=one("python", "cpp", "rust", "go"), tests=arr(obj(input=S, expected=S), 1, 4)),
]

# Records with many or odd members.
RECORDS = [
    obj(id=UUID, created=TIME, updated=maybe(TIME), owner=PERSON, tags=arr(text(1, 12), 0, 5, uniqueItems=True)),
    {"type": "object", "additionalProperties": I},
    {"type": "object", "additionalProperties": arr(S, 0, 3), "minProperties": 1, "maxProperties": 4},
    {"type": "object", "patternProperties": {"^x-": S, "^n_[a-z]+$": I}, "additionalProperties": False},
    {"type": "object", "properties": {"id": I}, "required": ["id"], "patternProperties": {"^meta_": S}},
    {"type": "object", "propertyNames": {"pattern": "^[a-z]{2}$"}, "additionalProperties": S, "minProperties": 2},
    {"type": "object", "propertyNames": {"enum": ["red", "green", "blue"]}, "additionalProperties": whole(0, 255),
     "minProperties": 3},
    obj(["a"], closed=False, a=I, b=S),
    obj([], a=I, b=S, c=B, d=N),
    {"type": "object", "properties": {"card": pattern("^[0-9]{12,16}$"), "cvc": pattern("^[0-9]{3}$"), "name": S},
     "required": ["name"], "dependentRequired": {"card": ["cvc"]}, "additionalProperties": False},
    {"type": "object", "properties": {"kind": one("person", "company"), "vat": S, "birth": DATE},
     "required": ["kind"], "additionalProperties": False,
     "if": {"properties": {"kind": {"const": "company"}}}, "then": {"required": ["vat"]}, "else": {"required": ["birth"]}},
    {"type": "object", "properties": {"mode": one("auto", "manual"), "level": whole(0, 10)}, "required": ["mode"],
     "if": {"properties": {"mode": {"const": "manual"}}, "required": ["mode"]}, "then": {"required": ["level"]},
     "additionalProperties": False},
    obj(**{f"field_{i}": [S, I, N, B, maybe(S)][i % 5] for i in range(30)}),
    obj([], **{f"option_{i}": [B, whole(0, 9), text(0, 5)][i % 3] for i in range(40)}),
    obj(**{name: text(0, 20) for name in ("名字", "地址", "电话", "备注")}),
    obj(**{"with space": S, "with\"quote": I, "with\\slash": B, "emoji😀": N, "tab\there": S}),
    obj(version={"const": 2}, kind={"const": "config"}, value={"const": {"deep": [1, "two", None]}}),
    obj(level=one(1, 2, 3, "max", None, True)),
    obj(price=real(0, 1000, multipleOf=0.01), count=whole(0, 600, multipleOf=12), ratio={"type": "number", "exclusiveMinimum": 0,
        "exclusiveMaximum": 1}),
    obj(low=whole(-1000, -1), high={"type": "integer", "exclusiveMinimum": 10, "maximum": 99999}, far=whole(1000000)),
    obj(temperature=real(-273.15, 1000), ph=real(0, 14), tolerance=one(0.1, 0.05, 0.01)),
    obj(matrix=arr(arr(N, 3, 3), 3, 3)),
    {"type": "array", "prefixItems": [S, I, B], "items": False, "minItems": 3},
    {"type": "array", "prefixItems": [one("add", "del"), whole(0)], "items": S, "minItems": 2, "maxItems": 6},
    arr(I, 1, 8, contains={"type": "integer", "minimum": 100}),
    arr(whole(0, 9), 2, 8, contains={"const": 7}, minContains=1, maxContains=2),
    arr(one("a", "b", "c", "d"), 2, 4, uniqueItems=True),
    arr({"type": ["integer", "string"]}, 0, 6),
    obj(name=text(2, 30), nick=text(None, 10), bio=text(10, 200), code=text(6, 6)),
    obj(slug=pattern("^[a-z0-9]+(-[a-z0-9]+)*$"), semver=pattern(r"^(0|[1-9]\d{0,3})\.(0|[1-9]\d{0,3})\.(0|[1-9]\d{0,3})$"),
        hex=pattern("^#[0-9a-f]{6}$"), isbn=pattern("^97[89]-[0-9]{10}$")),
    obj(user=pattern("^[A-Za-z_][A-Za-z0-9_]{2,15}$"), digits=pattern(r"^\d+$"), any=pattern("o"), start=pattern("^Re: ")),
    obj(a={"type": "string", "pattern": "^[a-z]+$", "minLength": 3, "maxLength": 8}),
    {"type": "object", "properties": {"a": I}, "required": ["a"], "maxProperties": 3},
    {"type": "object", "properties": {"a": S, "b": I}, "minProperties": 1, "additionalProperties": False},
    obj(flags=obj([], verbose=B, dry_run=B, color=one("auto", "always", "never"))),
    {"type": "object", "required": ["x", "y"]},
    {"type": ["object", "null"], "properties": {"n": I}, "required": ["n"], "additionalProperties": False},
    {"type": ["array", "string"], "items": B, "maxItems": 4, "maxLength": 8},
    {"not": {"type": ["object", "array"]}},
    obj(x={"type": "integer", "not": {"enum": [0, 1]}}, y={"type": "string", "not": {"enum": ["", "none"]}}),
]

# Unions and recursion.
LEAF = {"$ref": "#/$defs/node"}


def with_defs(root, **defs):
    return {**root, "$defs": defs}


def tagged(**kinds):
    return [obj(kind={"const": kind}, **fields) for kind, fields in kinds.items()]


UNIONS = [
    {"oneOf": tagged(circle={"r": real(0, 100)}, square={"side": real(0, 100)}, line={"points": arr(POINT, 2, 4)})},
    {"anyOf": tagged(text={"text": S}, image={"url": URI, "alt": maybe(S)}, file={"name": S, "bytes": whole(0)})},
    obj(steps=arr({"oneOf": tagged(click={"x": whole(0, 4000), "y": whole(0, 4000)}, type={"text": S}, wait={"ms": whole(0, 60000)},
        scroll={"dy": whole(-5000, 5000)}, done={})}, 1, 6)),
    obj(answer={"anyOf": [S, N, B, arr(S, 0, 4)]}, confidence=one("low", "medium", "high")),
    obj(result={"oneOf": [obj(ok={"const": True}, value=S), obj(ok={"const": False}, error=obj(code=I, message=S))]}),
    {"oneOf": [I, S]},
    {"oneOf": [{"type": "integer", "multipleOf": 3}, {"type": "integer", "multipleOf": 5}]},
    {"allOf": [obj(None, False, a=I), obj(None, False, b=S)]},
    {"allOf": [{"$ref": "#/$defs/base"}], "properties": {"extra": I}, "required": ["extra"], "unevaluatedProperties": False,
     "$defs": {"base": {"type": "object", "properties": {"id": I, "name": S}, "required": ["id"]}}},
    {"type": "object", "properties": {"kind": one("a", "b")}, "required": ["kind"], "unevaluatedProperties": False,
     "oneOf": [{"properties": {"kind": {"const": "a"}, "left": I}, "required": ["left"]},
               {"properties": {"kind": {"const": "b"}, "right": S}, "required": ["right"]}]},
    {"type": "array", "prefixItems": [I], "unevaluatedItems": S, "maxItems": 4},
    with_defs({"$ref": "#/$defs/node"}, node=obj(["value"], value=I, children=arr(LEAF, 0, 3))),
    with_defs(LEAF, node=obj(["value"], value=S, next=maybe(LEAF))),
    with_defs(LEAF, node={"anyOf": [N, obj(op=one("+", "-", "*", "/"), left=LEAF, right=LEAF)]}),
    with_defs(obj(root=LEAF), node=obj(["tag"], tag=one("div", "p", "ul", "li"), text=text(0, 40), children=arr(LEAF, 0, 4))),
    with_defs(LEAF, node={"oneOf": [obj(var=pattern("^[a-z]$")), obj(all=arr(LEAF, 1, 3)), obj(any=arr(LEAF, 1, 3)),
                                    {"type": "object", "properties": {"not": LEAF}, "required": ["not"],
                                     "additionalProperties": False}]}),
    with_defs(obj(name=S, reports=arr({"$ref": "#/$defs/employee"}, 0, 3)),
              employee=obj(["name"], name=S, reports=arr({"$ref": "#/$defs/employee"}, 0, 2), boss=B)),
    with_defs(LEAF, node={"type": ["object", "array", "string", "number", "boolean", "null"], "additionalProperties": LEAF,
                          "items": LEAF}),
    {"$anchor": "list", "type": "object", "properties": {"head": I, "tail": {"anyOf": [{"$ref": "#list"}, {"type": "null"}]}},
     "required": ["head", "tail"], "additionalProperties": False},
    with_defs(obj(ship={"$ref": "#/$defs/address"}, bill={"$ref": "#/$defs/address"}), address=ADDRESS),
]

# The same forms with other sizes, so that limits and repeats are met in many combinations.
VARIANTS = (
    [obj(items=arr(obj(["id"], id=whole(0, 10 ** k), name=text(0, 4 * k), on=B), 0, k)) for k in range(1, 11)] +
    [obj(**{f"m{i}": text(i, i + k) for i in range(k)}) for k in range(1, 11)] +
    [obj([f"r{i}" for i in range(0, 2 * k, 2)], **{f"r{i}": [I, S, B][i % 3] for i in range(2 * k)}) for k in range(1, 11)] +
    [obj(choice=one(*[f"option number {i}" for i in range(4 * k)])) for k in range(1, 11)] +
    [obj(n=whole(-(7 ** k), 11 ** k), m=real(-k / 8, k * 1.5), q=whole(0, 1000 * k, multipleOf=k)) for k in range(1, 11)] +
    [obj(a=arr(arr(whole(0, k), 0, k), 0, 3), t=arr(maybe(text(0, k)), k, k + 2)) for k in range(1, 11)] +
    [{"anyOf": tagged(**{f"kind_{i}": {f"value_{i}": [I, S, B, N][i % 4], "note": maybe(text(0, 10))} for i in range(k)})}
     for k in range(1, 11)] +
    [obj(function={"const": f"tool_{k}"}, arguments=tool) for k, tool in enumerate(TOOLS)] +
    [obj(thought=text(0, 100), record=record) for record in EXTRACTS[:10]]
)

SCHEMAS = (TOOLS + EXTRACTS + RECORDS + UNIONS + VARIANTS)[:200]
assert len(SCHEMAS) == 200, len(SCHEMAS)
