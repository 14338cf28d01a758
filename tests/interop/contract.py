"""The published tables as the contract has them: columns in order, Arrow types, labels, sort order.

Written from the contract and the layout of recipient movements, not from what the program writes.
"""

import csv
from pathlib import Path

LAYOUTS = Path(__file__).resolve().parents[2] / "schemas/data/layouts"
KHS = LAYOUTS.parent / "khs/person.csv"

REGISTRY = {
    "insurers": "5411-insurer-movement.csv",
    "memberships": "5711-union-membership-movement.csv",
    "municipal_limits": "5511-municipal-limit-movement.csv",
    "special_benefits": "5611-special-benefit-movement.csv",
}

TABLES = ["recipient_month", "recipient_history", "files", "findings", *REGISTRY, "khs", "changes"]

SORTED_BY = {
    "recipient_month": ["holder_no", "insured_no", "movement_date"],
    "recipient_history": ["holder_no", "insured_no", "movement_date"],
    "files": ["processing_month", "taken_in_on", "name", "file_id"],
    "findings": ["file_id", "record_no", "code", "item"],  # file_id: the file's place in `files`
    "insurers": ["insurer_no", "valid_from"],
    "memberships": ["union_no", "member_no", "valid_from"],
    "municipal_limits": ["insurer_no", "care_level", "service_type", "valid_from"],
    "special_benefits": ["insurer_no", "service_code", "valid_from"],
    "khs": ["member_no", "insured_no"],
    "changes": ["holder_no", "service_month", "insured_no"],
}

TEXT, DATE, INT32, INT64, BOOL = "string", "date32[day]", "int32", "int64", "bool"
TYPES = {"date": DATE, "month": DATE, "integer": INT32}  # every other kind is text


def layout(file="5311-recipient-movement.csv"):
    """(name, Japanese label, Arrow type) of the items of a layout from movement_date on."""
    with (LAYOUTS / file).open(encoding="utf-8", newline="") as lines:
        items = [(row["name"], row["name_ja"], TYPES.get(row["kind"], TEXT)) for row in csv.DictReader(lines)]
    first = [name for name, _, _ in items].index("movement_date")
    return items[first:]


def registry_schema(table):
    """The same of a table of insurers, unions and what municipalities have of their own."""
    items = layout(REGISTRY[table])
    if table == "insurers":
        items = [item for item in items if item[0] in ("insurer_no", "insurer_name", "insurer_type")]
    if table == "memberships":
        names = {"insurer_no": "union_no", "member_insurer_no": "member_no"}
        items = [(names[name], label, kind) for name, label, kind in items if name in names]
    period = {"valid_from": DATE, "valid_to": DATE, "file_id": TEXT, "record_no": INT64}
    return {name: kind for name, _, kind in items} | period, {name: label for name, label, _ in items}


def khs_schema():
    """The same of the table of insurance cards' statuses."""
    with KHS.open(encoding="utf-8", newline="") as lines:
        fields = [(row["item"], row["name_ja"], DATE if row["type"] == "date" else TEXT) for row in csv.DictReader(lines)]
    fields = [("member_no" if item == "insurer_no" else item, label, kind) for item, label, kind in fields]
    return {item: kind for item, _, kind in fields} | {"known_on": DATE}, {item: label for item, label, _ in fields}


def schema(table):
    """({column: Arrow type} in order, {item: Japanese label}) of a table."""
    if table == "khs":
        return khs_schema()
    if table in REGISTRY:
        return registry_schema(table)
    labels = {name: label for name, label, _ in layout()}
    items = {name: kind for name, _, kind in layout() if name != "insured_no"}
    holder = {"holder_no": TEXT, "holder_name": TEXT, "insured_no": TEXT}
    record = {"file_id": TEXT, "record_no": INT64}
    if table == "recipient_month":
        columns = {"service_month": DATE} | holder | items | record | {
            "last_correction_date": DATE,
            "movements_in_month": INT32,
            "ended_in_month": BOOL,
            "first_day_insurer_no": TEXT,
            "heaviest_care_level": TEXT,
            "limit_units": INT32,
            "limit_source": TEXT,
            "certification_covers_month": BOOL,
            "covering_movement_date": DATE,
        }
        return columns, labels
    if table == "recipient_history":
        period = {"valid_from": DATE, "valid_to": DATE, "from_month": DATE, "to_month": DATE}
        known = {"processing_month": DATE, "last_correction_date": DATE, "corrections": INT32}
        return holder | items | period | record | known, labels
    if table == "files":
        columns = {"file_id": TEXT, "name": TEXT, "data_type": TEXT, "sender_no": TEXT}
        columns |= {"processing_month": DATE, "taken_in_on": DATE}
        columns |= {"records": INT64, "accepted": INT64, "rejected": INT64, "warned": INT64, "status": TEXT}
        return columns, {}
    if table == "changes":
        columns = {"service_month": DATE, "holder_no": TEXT, "insured_no": TEXT, "change": TEXT, "item": TEXT}
        columns |= {"before": TEXT, "after": TEXT, "cause": TEXT, "cause_file_id": TEXT}
        return columns | {"cause_record_no": INT64, "cause_date": DATE}, {}
    columns = {"file_id": TEXT, "file_name": TEXT, "sender_no": TEXT, "record_no": INT64, "insurer_no": TEXT}
    columns |= {"insured_no": TEXT, "movement_date": DATE, "severity": TEXT, "code": TEXT, "item": TEXT}
    columns |= {"count": INT64, "message_ja": TEXT, "message_en": TEXT}
    return columns, {}
