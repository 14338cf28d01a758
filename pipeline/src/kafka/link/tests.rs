#![allow(clippy::unwrap_used)] // a test may fail loudly

use super::*;
use rdkafka::consumer::BaseConsumer;
use rdkafka::producer::{BaseProducer, Producer};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use tempfile::NamedTempFile;
use tracing::field::Field;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata};

/// What must never be seen.
const SECRET: &str = "hunter2";

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn read(text: &str) -> Result<Options, KafkaError> {
    Options::read(file(text).path())
}

fn link(options: &str) -> Result<Link, KafkaError> {
    Link::new("127.0.0.1:1", DEFAULT_TOPIC, read(options)?)
}

/// Makes a producer, a consumer and a client that asks.
fn clients(link: &Link) -> Result<(), KafkaError> {
    link.create::<_, BaseProducer<_>>(&link.producer_config(), link.context())?;
    link.create::<_, BaseConsumer<_>>(&link.consumer_config(), link.context())?;
    link.create::<_, BaseProducer<_>>(&link.admin_config(), link.context())?;
    Ok(())
}

#[test]
fn a_file_of_options_is_read() {
    let text = "\u{feff}# remark\r\n\r\n  linger.ms = 20  \r\nclient.id=a b=c#d\n\tsocket.timeout.ms=5000\nclient.rack=";
    let options = read(text).unwrap();
    let expected =
        [("client.id", "a b=c#d"), ("client.rack", ""), ("linger.ms", "20"), ("socket.timeout.ms", "5000")];
    assert_eq!(options.entries().collect::<Vec<_>>(), expected);
    assert_eq!(options.get("queue.buffering.max.ms"), Some("20"));
    assert_eq!(read("").unwrap().entries().count(), 0);
}

#[test]
fn a_wrong_line_is_named_by_its_number() {
    let error = |text: &str| read(text).unwrap_err().to_string();
    assert!(error("a=1\n\nhunter2").contains("line 3: has no `=`"));
    assert!(error("My Password=hunter2").contains("line 1: does not begin with the name"));
    assert!(error("=hunter2").contains("line 1"));
    let twice = error("#\nacks.x=1\nlinger.ms=1\nqueue.buffering.max.ms=2");
    assert!(twice.contains("line 4, `queue.buffering.max.ms`: is given a second time"), "{twice}");
    assert!(error("a=b\0c").contains("line 1, `a`: has a NUL"));
    let mut latin = NamedTempFile::new().unwrap();
    latin.write_all(b"a=1\nb=\xff\n").unwrap();
    assert!(Options::read(latin.path()).unwrap_err().to_string().contains("line 2: is not UTF-8"));
    let missing = Options::read(Path::new("/nowhere/kafka.properties")).unwrap_err().to_string();
    assert!(missing.contains("/nowhere/kafka.properties") && missing.contains("check the path"), "{missing}");
}

#[test]
fn options_that_the_protocol_rests_on_are_refused_under_every_name() {
    for key in [
        "acks",
        "request.required.acks",
        "enable.idempotence",
        "enable.auto.commit",
        "auto.commit.enable",
        "enable.auto.offset.store",
        "auto.offset.reset",
        "isolation.level",
        "partitioner",
        "transactional.id",
        "enable.partition.eof",
        "delivery.report.only.error",
        "allow.auto.create.topics",
        "test.mock.num.brokers",
    ] {
        let error = read(&format!("client.id=x\n{key}=hunter2")).unwrap_err().to_string();
        assert!(error.contains(&format!("line 2: `{key}` cannot be set")), "{error}");
        assert!(!error.contains(SECRET), "{error}");
    }
    for key in ["bootstrap.servers", "metadata.broker.list"] {
        let error = read(&format!("{key}=hunter2:9092")).unwrap_err().to_string();
        assert!(error.contains("--kafka") && !error.contains(SECRET), "{error}");
    }
}

#[test]
fn the_users_options_go_before_ours_under_every_name() {
    let link = link("compression.type=zstd\ndelivery.timeout.ms=7000\ngroup.id=mine\nlinger.ms=9").unwrap();
    let producer = link.producer_config();
    assert_eq!(producer.get("compression.codec"), Some("zstd"));
    assert_eq!(producer.get("compression.type"), None, "one of two names would win by chance");
    assert_eq!(producer.get("message.timeout.ms"), Some("7000"));
    assert_eq!(producer.get("queue.buffering.max.ms"), Some("9"));
    assert_eq!(producer.get("request.required.acks"), Some("all"));
    assert_eq!(producer.get("enable.idempotence"), Some("true"));
    assert_eq!(link.message_timeout(), Duration::from_secs(7));
    let consumer = link.consumer_config();
    assert_eq!((consumer.get("group.id"), consumer.get("auto.offset.reset")), (Some("mine"), Some("error")));
    for key in ["enable.auto.commit", "enable.auto.offset.store"] {
        assert_eq!(consumer.get(key), Some("false"), "{key}");
    }
    for config in [&producer, &consumer, &link.admin_config()] {
        assert_eq!(config.get("metadata.broker.list"), Some("127.0.0.1:1"));
        assert_eq!(config.get("allow.auto.create.topics"), Some("false"));
    }
    clients(&link).unwrap();
}

/// As librdkafka sees them: a name of ours that it does not know, or an alias that is missing in our list, would
/// be seen here.
#[test]
fn our_settings_are_librdkafkas() {
    let link = link("").unwrap();
    for (key, value) in COMMON.iter().chain(PRODUCER).chain(CONSUMER) {
        let mut config = ClientConfig::new();
        config.set(*key, *value);
        assert!(config.create_native_config().is_ok(), "{key}");
        assert_eq!(options::canonical(key), *key);
    }
    let native = link.producer_config().create_native_config().unwrap();
    for (key, value) in
        [("acks", "-1"), ("bootstrap.servers", "127.0.0.1:1"), ("delivery.timeout.ms", "120000")]
    {
        assert_eq!(native.get(key).unwrap(), value, "{key}");
    }
    assert_eq!(link.message_timeout(), Duration::from_secs(120));
    clients(&link).unwrap();
}

#[test]
fn brokers_and_topics_have_their_form() {
    let options = Options::default;
    for brokers in ["", " ", "a:9092,", "a:9092,,b:9092", "SASL_SSL://me:hunter2@a:9092"] {
        let error = Link::new(brokers, DEFAULT_TOPIC, options()).unwrap_err().to_string();
        assert!(error.contains("host:port") && !error.contains(SECRET), "{error}");
    }
    for topic in
        ["facts", "tsumiage.", "tsumiage.a b", "tsumiage.あ", &format!("tsumiage.{}", "a".repeat(250))]
    {
        let error = Link::new("a:9092", topic, options()).unwrap_err().to_string();
        assert!(error.contains("begins with `tsumiage.`"), "{error}");
    }
    let link = Link::new(" a:9092,[::1]:9093 ", "tsumiage.facts-2_x", options()).unwrap();
    assert_eq!((link.brokers(), link.topic()), ("a:9092,[::1]:9093", "tsumiage.facts-2_x"));
}

#[test]
fn tls_and_sasl_are_built_in() {
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        for protocol in ["sasl_ssl", "SASL_PLAINTEXT"] {
            let options = format!(
                "security.protocol={protocol}\nsasl.mechanism={mechanism}\nsasl.username=me\nsasl.password={SECRET}"
            );
            clients(&link(&options).unwrap()).unwrap();
        }
    }
    clients(&link("security.protocol=ssl\nenable.ssl.certificate.verification=false").unwrap()).unwrap();
    let gssapi = link("security.protocol=sasl_ssl\nsasl.mechanism=GSSAPI").unwrap();
    let error = clients(&gssapi).unwrap_err().to_string();
    assert!(error.contains("--kafka-config"), "{error}");
}

/// Options that are wrong in every place there is, their values the secret.
const WRONG: &[&str] = &[
    "no.such.option=hunter2",
    "sasl.pasword=hunter2",
    "security.protocol=hunter2",
    "compression.type=hunter2",
    "linger.ms=hunter2",
    "socket.keepalive.enable=hunter2",
    "log_level=hunter2",
    "debug=hunter2",
    "broker.address.family=hunter2",
    "sasl.jaas.config=hunter2",
    "ssl.truststore.password=hunter2",
    "sasl.mechanism=hunter2,PLAIN",
    "security.protocol=sasl_ssl\nsasl.mechanism=hunter2",
    "security.protocol=sasl_ssl\nsasl.mechanism=PLAIN\nsasl.password=hunter2",
    "security.protocol=sasl_ssl\nsasl.mechanism=PLAIN\nsasl.username=hunter2",
    "security.protocol=sasl_ssl\nsasl.mechanism=OAUTHBEARER\nsasl.oauthbearer.method=oidc\nsasl.oauthbearer.client.secret=hunter2",
    "security.protocol=ssl\nssl.ca.location=/nowhere/hunter2",
    "security.protocol=ssl\nssl.ca.pem=hunter2",
    "security.protocol=ssl\nssl.certificate.location=hunter2",
    "security.protocol=ssl\nssl.certificate.pem=hunter2",
    "security.protocol=ssl\nssl.key.location=hunter2\nssl.key.password=hunter2",
    "security.protocol=ssl\nssl.key.pem=hunter2",
    "security.protocol=ssl\nssl.keystore.location=hunter2\nssl.keystore.password=hunter2",
    "security.protocol=ssl\nssl.cipher.suites=hunter2",
    "security.protocol=ssl\nssl.curves.list=hunter2",
    "security.protocol=ssl\nssl.sigalgs.list=hunter2",
    "security.protocol=ssl\nssl.crl.location=hunter2",
    "security.protocol=ssl\nssl.providers=hunter2",
    "plugin.library.paths=hunter2",
];

#[test]
fn no_error_holds_a_value() {
    for options in WRONG {
        let error = link(options).and_then(|link| clients(&link)).expect_err(options);
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(!text.contains(SECRET), "{text}");
        }
        let key = options.lines().last().unwrap().split('=').next().unwrap();
        if matches!(error, KafkaError::Refused { .. }) {
            assert!(error.to_string().contains(&format!("`{key}`")), "{error}");
        }
        assert!(error.to_string().contains("--kafka-config") && !error.may_pass(), "{error}");
        assert_eq!(error.to_string().lines().count(), 1, "{error}");
    }
}

#[test]
fn no_debug_holds_a_value() {
    let text = format!("sasl.password={SECRET}\nsasl.username=u\nclient.id={SECRET}-long\nlinger.ms=5");
    let options = read(&text).unwrap();
    let link = Link::new("127.0.0.1:1", DEFAULT_TOPIC, options.clone()).unwrap();
    let seen = format!("{options:?} {link:?} {:?}", link.context());
    assert!(seen.contains("sasl.password") && !seen.contains(SECRET), "{seen}");
    let scrubbed = options.scrub("hunter2-long said hunter2 to u after 5 ms");
    assert_eq!(scrubbed, "*** said *** to *** after 5 ms");
    assert_eq!(Options::default().scrub("as it is"), "as it is");
}

/// Keeps all that is logged on its thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<String>>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = self.0.lock().unwrap();
        event.record(&mut |field: &Field, value: &dyn std::fmt::Debug| {
            writeln!(text, "{field}: {value:?}").unwrap();
        });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn no_log_line_holds_a_value() {
    let options = format!(
        "debug=all\nsecurity.protocol=sasl_plaintext\nsasl.mechanism=PLAIN\nsasl.username={SECRET}-user\n\
         sasl.password={SECRET}\nclient.id={SECRET}-client\nclient.rack={SECRET}\nfetch.wait.max.ms=10"
    );
    let link = link(&options).unwrap();
    let lines = Lines::default();
    tracing::subscriber::with_default(lines.clone(), || {
        let config = link.admin_config();
        let client: BaseProducer<_> = link.create(&config, link.context()).unwrap();
        let asked = client.client().fetch_metadata(Some(DEFAULT_TOPIC), Duration::from_millis(300));
        assert!(asked.is_err());
        client.poll(Duration::from_millis(300));
    });
    let lines = lines.0.lock().unwrap();
    assert!(
        lines.contains("CONF") && lines.contains("***") && lines.contains("Connection refused"),
        "{lines}"
    );
    assert!(!lines.contains(SECRET), "{lines}");
}
