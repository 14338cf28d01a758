//! What is sent back about unions, insurers and who may send for whom.

use super::{Place, cells, decoded};
use crate::records::{Items, list, record};
use tsumiage_pipeline::writer::{FileHeader, OutRecord, Quoting, write_file};
use tsumiage_schemas::{RecordKind, Spec};

/// Makes records and puts them into the inbox.
struct Senders {
    place: Place,
    spec: Spec,
}

impl Senders {
    /// A registration of any kind.
    fn registered(&self, kind: RecordKind, date: &str, insurer_no: &str, items: Items<'_>) -> OutRecord {
        let keys = [
            ("movement_date", date),
            ("movement_type", "1"),
            ("movement_reason", "01"),
            ("insurer_no", insurer_no),
        ];
        record(self.spec.layout(kind), &[&keys, items])
    }

    fn insurer(&self, insurer_no: &str) -> OutRecord {
        self.registered(RecordKind::InsurerMovement, "20200401", insurer_no, &[("insurer_name", "保険者")])
    }

    fn list(&self, union_no: &str, members: Items<'_>) -> OutRecord {
        list(&self.spec, union_no, members)
    }

    /// Certified from the movement date on; what is blank is not sent.
    fn person(&self, date: &str, insurer_no: &str, insured_no: &str, union_no: &str) -> OutRecord {
        let items = [
            ("insured_no", insured_no),
            ("union_no", union_no),
            ("certification_start_date", date),
            ("certification_end_date", "20270331"),
        ];
        self.registered(RecordKind::RecipientMovement, date, insurer_no, &items)
    }

    fn put(&self, name: &str, sender_no: &str, records: &[OutRecord]) {
        let header = FileHeader::new(&records[0].exchange_id[..3], sender_no, "2026-10".parse().unwrap());
        self.place.put(name, &write_file(&header, Quoting::Needed, records).unwrap());
    }

    /// Two unions, who both claim 142018, and four municipalities.
    fn put_all(&self) {
        let members = [("142018", "20260401"), ("00142034", "20260401")];
        self.put("union.csv", "149012", &[self.insurer("149012"), self.list("149012", &members)]);
        let people = [
            self.person("20260401", "142018", "0000000010", "149012"),
            self.person("20260401", "142034", "0000000020", "149021"),
            self.person("20260301", "142034", "0000000030", ""),
        ];
        self.put("people.csv", "149012", &people);
        let list = self.list("149021", &[("142018", "20260701")]);
        self.put("other-union.csv", "149021", &[self.insurer("149021"), list]);
        let end = [("movement_type", "3"), ("valid_to_date", "20260630")];
        let ended = [
            self.insurer("141003"),
            self.registered(RecordKind::InsurerMovement, "20260701", "141003", &end),
            self.person("20260401", "141003", "0000000040", ""),
        ];
        self.put("ended.csv", "141003", &ended);
        self.put("unknown.csv", "143014", &[self.person("20260401", "143014", "0000000050", "149012")]);
        self.put("twice.csv", "142034", &[self.insurer("142034"), self.insurer("142034")]);
        let foreign = [
            self.insurer("149012"),
            self.registered(
                RecordKind::MunicipalLimitMovement,
                "20260401",
                "149012",
                &[("care_level", "21")],
            ),
            self.registered(
                RecordKind::SpecialBenefitMovement,
                "20260401",
                "149012",
                &[("service_code", "810001")],
            ),
            self.list("149012", &[("142018", "20260401")]),
            self.person("20260401", "141003", "0000000060", ""),
        ];
        self.put("foreign.csv", "142034", &foreign);
    }

    /// What stacking found, of one sender: record, keys, severity, code, item and value as sent, and the
    /// brackets of the message.
    fn told(&self, sender_no: &str) -> Vec<String> {
        let lines = cells(&self.place.path(&format!("out/{sender_no}-findings.csv")));
        let texts = lines.iter().map(|row| row.iter().map(|cell| decoded(cell)).collect::<Vec<String>>());
        let of_stacking = texts.filter(|row| row[8].starts_with('S'));
        let line = |row: Vec<String>| {
            assert_eq!(row[11], "1");
            let mut brackets = row[12].split('（').filter_map(|part| Some(part.split_once('）')?.0));
            let brackets = brackets.find(|text| text.contains(|c: char| c.is_ascii_digit())).unwrap();
            [&[&*row[0]], &[3, 4, 5, 6, 7, 8, 9, 10].map(|at| &*row[at])[..], &[brackets]].concat().join("|")
        };
        of_stacking.map(line).collect()
    }
}

#[test]
fn what_is_wrong_with_holders_is_told_to_the_sender() {
    let senders = Senders { place: Place::new(), spec: Spec::embedded().unwrap() };
    senders.put_all();
    senders.place.nightly();
    assert_eq!(senders.place.findings("out", &[]).0, 0);
    let left = "2026-07-01から142018は149012に属していません";
    let joined = "2026-04-01から142034は149012に属しています";
    assert_eq!(
        senders.told("149012"),
        [
            format!("people.csv|2|142018|0000000010|2026-04-01|警告|S13|||{left}"),
            "people.csv|3|142034|0000000020|2026-04-01|警告|S07|||異動情報では149021、登録では149012"
                .to_owned(),
            format!("people.csv|4|142034|0000000030|2026-03-01|警告|S13|||{joined}"),
            "union.csv|3|149012||2026-04-01|警告|S15|市町村番号（行政区番号）（2組目）|00142034|142034は149012に所属"
                .to_owned(),
        ]
    );
    assert_eq!(
        senders.told("149021"),
        ["other-union.csv|3|149021||2026-04-01|警告|S09|市町村番号（行政区番号）（1組目）|142018|\
          142018は149021と149012の両方に記載、149021を有効として処理"]
    );
    assert_eq!(
        senders.told("141003"),
        ["ended.csv|4|141003|0000000040|2026-04-01|警告|S13|||2026-07-01から保険者141003は終了しています"]
    );
    assert_eq!(
        senders.told("143014"),
        [
            "unknown.csv|2|143014|0000000050|2026-04-01|警告|S07|||\
             異動情報には149012とありますが、143014はどの広域連合・政令市にも属していません",
            "unknown.csv|2|143014|0000000050|2026-04-01|警告|S08|||保険者番号：143014",
        ]
    );
    let foreign = "エラー|S12|||送付元：142034、保険者：149012";
    assert_eq!(
        senders.told("142034"),
        [
            format!("foreign.csv|2|149012||2020-04-01|{foreign}"),
            format!("foreign.csv|3|149012||2026-04-01|{foreign}"),
            format!("foreign.csv|4|149012||2026-04-01|{foreign}"),
            format!("foreign.csv|5|149012||2026-04-01|{foreign}"),
            "foreign.csv|6|141003|0000000060|2026-04-01|エラー|S12|||送付元：142034、保険者：141003"
                .to_owned(),
            "twice.csv|3|142034||2020-04-01|エラー|S01|||2020-04-01".to_owned(),
        ]
    );
    let page = senders.place.page("out", "142034");
    let total = page.iter().find(|row| row[0] == "合計").unwrap();
    assert_eq!(total[5..], ["7", "1", "6", "0"], "records, accepted, rejected, warned");
}
