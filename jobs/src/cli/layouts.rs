//! `layouts`: what is in force, where it comes from, and whether a folder of replacements is whole.

use super::args::{Common, Format, LayoutsAction};
use super::console::Console;
use super::data_folder::spec_in_force;
use super::{Exit, Usage};
use serde_json::{Value, json};
use std::fmt::Write;
use tsumiage_pipeline::layout_files::load_spec;
use tsumiage_schemas::sources::Profile;
use tsumiage_schemas::{Item, Layout, RecordKind, Spec};

/// Shows or checks layouts.
pub fn layouts(common: &Common, action: &LayoutsAction, console: &Console<'_>) -> anyhow::Result<Exit> {
    let (text, done) = match action {
        LayoutsAction::Show { name: None } => (all(&spec_in_force(common)?, common.format)?, None),
        LayoutsAction::Show { name: Some(name) } => {
            (one(&spec_in_force(common)?, name, common.format)?, None)
        }
        LayoutsAction::Check { dir } => {
            let spec = match dir {
                Some(dir) => load_spec(common.profile.map(Into::into).unwrap_or_default(), Some(dir))?,
                None => spec_in_force(common)?,
            };
            let base = load_spec(Profile::Strict, None)?;
            (all(&spec, common.format)?, Some((changes(&base, &spec), idle_rules(&spec))))
        }
    };
    console.print(&text)?;
    if let Some((changes, idle)) = done {
        for change in changes.iter().chain(&idle) {
            console.note(change);
        }
        console.note(&format!("layouts are whole; {} changes to those built in", changes.len()));
    }
    Ok(Exit::Done)
}

/// What is said of a layout whose records are not taken in.
const NOT_READ: &str = "not read: no record of this name is taken in";

/// One file in force.
struct InForce {
    path: String,
    from: String,
    about: String,
}

fn in_force(spec: &Spec) -> Vec<InForce> {
    let about = |path: &str| {
        let name = path.trim_end_matches(".csv");
        let layout = |layout: &Layout| {
            let widths: Vec<String> = layout.revisions().iter().map(usize::to_string).collect();
            format!("{} items; revisions {}", layout.items.len(), widths.join(" "))
        };
        if let Some(stem) = name.strip_prefix("layouts/") {
            return match find(spec, stem.split_once('-').map_or(stem, |(_, record)| record)) {
                Some(found) => layout(found),
                None => NOT_READ.to_owned(),
            };
        }
        match name.strip_prefix("codes/") {
            Some("care_level_limits") => format!("{} lines", spec.limits.len()),
            Some(table) => format!("{} codes", spec.codes.get(table).map_or(0, |t| t.labels.len())),
            None => String::new(),
        }
    };
    let from = |layer: String| if layer.is_empty() { "built in".to_owned() } else { layer };
    let file = |(path, layer): (String, String)| InForce {
        about: about(&path),
        from: from(layer.trim_start_matches(" + ").to_owned()),
        path,
    };
    spec.sources.in_force().into_iter().map(file).collect()
}

/// The layout of an exchange id or record name.
fn find<'s>(spec: &'s Spec, name: &str) -> Option<&'s Layout> {
    match name {
        "control" => Some(&spec.control),
        "end" => Some(&spec.end),
        _ => RecordKind::of_name(name).map(|kind| spec.layout(kind)).or_else(|| spec.layouts.get(name)),
    }
}

fn all(spec: &Spec, format: Format) -> anyhow::Result<String> {
    let files = in_force(spec);
    let document = |file: &InForce| json!({"file": file.path, "from": file.from, "about": file.about});
    Ok(match format {
        Format::Json => {
            let files: Vec<Value> = files.iter().map(document).collect();
            let document = json!({"digest": spec.digest(), "files": files});
            format!("{}\n", serde_json::to_string_pretty(&document)?)
        }
        Format::Csv => {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(["file", "from", "about"])?;
            for file in &files {
                writer.write_record([&file.path, &file.from, &file.about])?;
            }
            String::from_utf8(writer.into_inner()?)?
        }
        Format::Table => {
            let width = files.iter().map(|file| file.path.len()).max().unwrap_or(0);
            let mut out = String::new();
            for InForce { path, from, about } in &files {
                let about = if about.is_empty() { String::new() } else { format!("; {about}") };
                writeln!(out, "{path:width$}  {from}{about}")?;
            }
            writeln!(out, "digest {}", spec.digest())?;
            out
        }
    })
}

fn one(spec: &Spec, name: &str, format: Format) -> anyhow::Result<String> {
    let Some(text) = spec.sources.text(name) else {
        return Err(Usage(format!("nothing in force is called {name}; see `tsumiage layouts show`")).into());
    };
    let layout = find(spec, name);
    Ok(match (format, layout) {
        (Format::Csv, _) => text,
        (Format::Json, Some(layout)) => {
            let items: Vec<Value> = layout.items.iter().map(item_document).collect();
            let document = json!({"id": layout.id, "revisions": layout.revisions(), "items": items});
            format!("{}\n", serde_json::to_string_pretty(&document)?)
        }
        (Format::Json, None) => {
            let mut reader = csv::Reader::from_reader(text.as_bytes());
            let header = reader.headers()?.clone();
            let mut rows = Vec::new();
            for row in reader.records() {
                let row = row?;
                let cells = header.iter().zip(&row).map(|(name, cell)| (name.to_owned(), json!(cell)));
                rows.push(Value::Object(cells.collect()));
            }
            format!("{}\n", serde_json::to_string_pretty(&rows)?)
        }
        (Format::Table, _) => aligned(&text)?,
    })
}

fn item_document(item: &Item) -> Value {
    json!({
        "position": item.position,
        "name": item.name,
        "name_ja": item.name_ja,
        "kind": item.kind.name(),
        "width": item.width,
        "since": item.since,
        "clear": match (item.clear.star, item.clear.zeros) {
            (false, false) => "",
            (true, false) => "*",
            (false, true) => "0",
            (true, true) => "0|*",
        },
        "codes": item.codes,
        "key": item.is_key(),
        "repeats": item.repeats(),
        "grade": item.grade,
    })
}

/// CSV with its columns under each other; Japanese characters are two wide.
fn aligned(text: &str) -> anyhow::Result<String> {
    use unicode_width::UnicodeWidthStr;
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>()?;
    let columns = rows.iter().map(csv::StringRecord::len).max().unwrap_or(0);
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.width()).max();
    let widths: Vec<usize> = (0..columns).map(|at| width(at).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in &rows {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell}{}", " ".repeat(width.saturating_sub(cell.width()))));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(out)
}

/// What is different from the embedded files, one line each.
fn changes(base: &Spec, spec: &Spec) -> Vec<String> {
    let mut changes = Vec::new();
    for kind in RecordKind::ALL {
        let (own, new) = (base.layout(kind), spec.layout(kind));
        if own.id != new.id {
            changes.push(format!("{}: exchange id {} instead of {}", kind.name(), new.id, own.id));
        }
        changes.extend(layout_changes(kind.name(), own, new));
    }
    changes.extend(layout_changes("control", &base.control, &spec.control));
    changes.extend(layout_changes("end", &base.end, &spec.end));
    for (name, table) in &spec.codes {
        if base.codes.get(name) != Some(table) {
            changes.push(format!("code table {name}"));
        }
    }
    if base.limits != spec.limits {
        changes.push("care_level_limits".to_owned());
    }
    for code in tsumiage_schemas::Code::ALL {
        let (own, new) = (base.catalogue.severity(*code), spec.catalogue.severity(*code));
        if own != new {
            changes.push(format!("{code} is {} instead of {}", new.as_str(), own.as_str()));
        }
    }
    if base.rules != spec.rules {
        changes.push("rules (periods, check digits, eras, characters or line end texts)".to_owned());
    }
    changes
}

/// What has no effect: rules about items that no layout has, tables that none uses, layouts of no record.
fn idle_rules(spec: &Spec) -> Vec<String> {
    let rules = &spec.rules;
    let periods = rules.periods.iter().flat_map(|(start, end)| [("periods", start), ("periods", end)]);
    let digits = rules.check_digits.keys().map(|item| ("check_digits", item));
    let eras = rules.abolished.keys().map(|item| ("eras", item));
    let layouts = || spec.layouts.values().chain([&spec.control, &spec.end]);
    let known = |item: &str| layouts().any(|layout| layout.column(item).is_some());
    let idle = periods.chain(digits).chain(eras).filter(|(_, item)| !known(item));
    let mut told: Vec<String> =
        idle.map(|(rule, item)| format!("rules/{rule}.csv: no layout has the item {item}")).collect();
    let used =
        |table: &str| layouts().flat_map(|l| &l.items).any(|item| item.codes.as_deref() == Some(table));
    let unused = spec.codes.keys().filter(|table| !used(table));
    told.extend(unused.map(|table| format!("codes/{table}.csv: no layout uses this table")));
    let unread = in_force(spec).into_iter().filter(|file| file.about.starts_with(NOT_READ));
    told.extend(unread.map(|file| format!("{}: {}", file.path, file.about)));
    told
}

fn layout_changes(name: &str, own: &Layout, new: &Layout) -> Vec<String> {
    let same = own.items.iter().zip(&new.items).take_while(|(a, b)| a == b).count();
    if same == own.items.len() && same == new.items.len() {
        return Vec::new();
    }
    if same == own.items.len() {
        let added: Vec<&str> = new.items[same..].iter().map(|item| item.name.as_str()).collect();
        return vec![format!("{name}: appended {}", added.join(", "))];
    }
    vec![format!("{name}: different from item {} on", same + 1)]
}
