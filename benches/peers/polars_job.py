"""The job with Polars: every column of `recipient_month`; `holder_name` and `last_correction_date` are null.

    python polars_job.py INPUT OUT --months A..B

Nothing is checked, and there are no corrections, unions, insurers or municipal limits. Zeros alone are not taken as
blank. What is taken for granted, so that the plan is short: streams begin with a registration, ends come after one.
Sorted once, everything about a stream is a comparison with the row before or after: no grouping by person.
"""

from datetime import date

import polars as pl

from job import KEYS, Item, Job, Month, asked, columns, inherited, items, limits

# What a cleared item is while blanks are filled: a value that no item can have.
CLEARED = {pl.String: pl.lit("*"), pl.Date: pl.lit(date(1, 1, 1)), pl.Int32: pl.lit(-1, pl.Int32)}


def kind(item: Item) -> type[pl.DataType]:
    """Type of the published column."""
    return pl.Date if item.is_date else pl.Int32 if item.kind == "integer" else pl.String


def value(item: Item) -> pl.Expr:
    """What a record says of an item: its value, cleared, or null for a blank of a change or end."""
    text, into = pl.col(item.name), kind(item)
    read = {pl.Date: text.str.to_date("%Y%m%d", strict=False), pl.Int32: text.cast(pl.Int32, strict=False)}
    found = read.get(into, text)
    if item.clear:
        marked = text.str.starts_with("*") if item.clear == "*" else text.str.strip_chars(item.clear) == ""
        found = pl.when(marked).then(CLEARED[into]).otherwise(found)
    # A registration takes over nothing: its blanks are not set.
    unset = text.is_null() & (pl.col("movement_type") == "1")
    return pl.when(unset).then(CLEARED[into]).otherwise(found).alias(item.name)


def filled(item: Item) -> pl.Expr:
    """An item with its blanks filled in from the record before; right in all streams since each begins anew."""
    carried = pl.col(item.name).forward_fill()
    return pl.when(carried != CLEARED[kind(item)]).then(carried).alias(item.name)


def read(job: Job) -> pl.LazyFrame:
    """All movements with their files, in stream order, as typed items."""
    layout = items()
    schema = {item.name: pl.String for item in layout}
    files = pl.LazyFrame(job.file_ids, schema=["name", "file_id"], orient="row")
    return (
        # The control record is skipped, the end record has fewer columns; a blank is one in quotes, too.
        pl.scan_csv(job.movements / "*.csv", has_header=False, schema=schema, skip_lines=1, null_values="",
                    missing_columns="insert", include_file_paths="path")
        .filter(record_type="2", exchange_id="5311")
        .with_columns(
            *map(value, inherited(layout)),
            pl.col("movement_date").str.to_date("%Y%m%d"),
            pl.col("record_no").cast(pl.Int64),
            name=pl.col("path").str.split("/").list.last(),
        )
        .join(files, on="name", how="left")
        .drop("record_type", "exchange_id", "path", "name")
        .sort(*KEYS, "movement_date")
    )


def number(day: pl.Expr) -> pl.Expr:
    """Counts months, like `Month.number`."""
    return (day.dt.year() * 12 + day.dt.month() - 1).cast(pl.Int32)


def covers(first_day: pl.Expr, last_day: pl.Expr, before: str = "") -> pl.Expr:
    """Whether a certification covers any day of a month."""
    start, end = (pl.col(f"{before}certification_{which}_date") for which in ("start", "end"))
    in_time = end.is_null() | ((end >= first_day) & (end >= start))
    return (start.is_not_null() & (start <= last_day) & in_time).fill_null(False)


def stacked(movements: pl.DataFrame, limit: pl.DataFrame, last: Month) -> pl.DataFrame:
    """Records with blanks filled in, the months they are in force, and what holds in the month of their date."""
    day, is_end = pl.col("movement_date"), pl.col("movement_type") == "3"
    first_day, last_day = day.dt.month_start(), day.dt.month_end()
    copied = ["movement_type", "care_level", "certification_start_date", "certification_end_date"]
    weight = limit.select("care_level", "month", "weight")
    # The last of its month; an end only inside the month.
    counts = pl.col("opens").shift(-1).fill_null(True) & (~is_end | (day != first_day))
    return (
        movements.lazy()
        .with_columns(map(filled, inherited(items())))
        .with_columns(
            begins=(pl.struct(KEYS) != pl.struct(KEYS).shift(1)).fill_null(True),
            month=number(day),
            *[pl.col(name).shift(1).alias(f"before_{name}") for name in copied],
        )
        .with_columns(stream=pl.col("begins").cum_sum(),
                      opens=pl.col("begins") | (pl.col("month") != pl.col("month").shift(1)))
        .with_columns(dated=pl.col("opens").cum_sum(), row=pl.int_range(pl.len(), dtype=pl.Int32))
        .join(weight.lazy(), on=["care_level", "month"], how="left", maintain_order="left")
        .join(weight.lazy().rename({"weight": "before_weight"}), left_on=["before_care_level", "month"],
              right_on=["care_level", "month"], how="left", maintain_order="left")
        # The record in force on the first day is the one before the month's first, unless that is dated on it.
        .with_columns(before=pl.col("opens") & ~pl.col("begins") & (pl.col("before_movement_type") != "3")
                      & (day != first_day))
        .with_columns(
            until=pl.when(~counts).then(None)
            .when(is_end).then("month")
            .when(pl.col("begins").shift(-1)).then(last.number)
            .otherwise(pl.coalesce(pl.col("month").shift(-1) - 1, last.number)),
            movements=pl.col("row") - pl.when("opens").then("row").forward_fill() + 1,
            there=pl.when("opens").then(pl.col("before") | ((day == first_day) & ~is_end)).forward_fill(),
            heaviest=pl.max_horizontal(
                pl.when(~is_end & covers(first_day, last_day)).then("weight"),
                pl.when(pl.col("before") & covers(first_day, last_day, "before_")).then("before_weight"),
            ).max().over("dated"),
        )
        .drop("weight", "before_weight", "before", "^before_.*$")
        .collect()
    )


def certifications(records: pl.DataFrame) -> pl.DataFrame:
    """Certification periods of the streams, with the last movement that carries each, in order of these."""
    period = ["stream", "certification_start_date", "certification_end_date"]
    return (
        records.lazy().filter(pl.col("certification_start_date").is_not_null())
        .group_by(period).agg(covering_movement_date=pl.col("movement_date").max())
        .sort("stream", "covering_movement_date").collect()
    )


def service_month(
    records: pl.DataFrame, certified: pl.DataFrame, limit: pl.DataFrame, month: Month
) -> pl.LazyFrame:
    """The rows of a month, in order."""
    days = pl.lit(month.first_day), pl.lit(month.last_day)
    of_month = limit.lazy().filter(month=month.number)
    level = of_month.select("weight", heaviest_care_level="care_level", limit_units="limit_units")
    weight = of_month.select("care_level", later_weight="weight")
    covering = (
        certified.lazy().filter(covers(*days))
        .filter((pl.col("stream") != pl.col("stream").shift(-1)).fill_null(True))
        .select("stream", "covering_movement_date")
    )
    own = pl.col("month") == month.number
    later = pl.when((pl.col("movement_type") != "3") & covers(*days)).then("later_weight")
    return (
        records.lazy().filter((pl.col("month") <= month.number) & (pl.col("until") >= month.number))
        .join(weight, on="care_level", how="left", maintain_order="left")
        .with_columns(weight=pl.when(own).then("heaviest").otherwise(later))
        .join(level, on="weight", how="left", maintain_order="left")
        .join(covering, on="stream", how="left", maintain_order="left")
        .with_columns(
            service_month=days[0],
            holder_no="insurer_no",
            holder_name=pl.lit(None, pl.String),
            last_correction_date=pl.lit(None, pl.Date),
            movements_in_month=pl.when(own).then("movements").otherwise(0),
            ended_in_month=pl.col("movement_type") == "3",
            first_day_insurer_no=pl.when(~own | pl.col("there")).then("insurer_no"),
            limit_source=pl.when(pl.col("limit_units").is_not_null()).then(pl.lit("table")),
            certification_covers_month=covers(*days),
        )
        .select(columns(items()))
    )


def main() -> None:
    """Does the job."""
    job = asked(__doc__)
    limit = pl.DataFrame(limits(job.months), orient="row", schema={
        "care_level": pl.String, "month": pl.Date, "weight": pl.Int32, "limit_units": pl.Int32})
    limit = limit.with_columns(month=number(pl.col("month")))
    records = stacked(read(job).collect(engine="streaming"), limit, job.months[-1])
    certified = certifications(records)
    files = [
        service_month(records, certified, limit, month)
        .sink_parquet(job.folder(month) / "0.parquet", compression="zstd", row_group_size=500_000, lazy=True)
        for month in job.months
    ]
    pl.collect_all(files, engine="streaming")


if __name__ == "__main__":
    main()
