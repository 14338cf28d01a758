#!/usr/bin/env bash
# A real Apache Kafka broker for the tests: one KRaft node on loopback.
#
#   broker.sh fetch          only fetch the jars (Maven), once per version, into target/kafka/<version>
#   broker.sh start DIR      a new broker with its data in DIR; returns when it answers, prints its version. It writes
#                            DIR/bootstrap       host:port, no security
#                            DIR/tls-bootstrap   host:port of the same broker, TLS and SASL (SCRAM-SHA-512) required
#                            DIR/client.properties  librdkafka options for it; DIR/ca.pem: the CA it trusts
#                            DIR/version, DIR/pid, DIR/log
#   broker.sh stop DIR       in order; nothing to do is no error
#   broker.sh kill DIR       kill -9
#   broker.sh restart DIR    stop if it runs, start again on the same ports and data
#
# Exit codes: 1 it does not start, 3 Java 17, Maven or a tool is missing, or the jars cannot be fetched, 64 wrong
# usage.
# TSUMIAGE_TEST_KAFKA_JAVA: more options for its JVM, such as -Xmx1g. DIR is the caller's to remove.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../.." && pwd)"
java="${JAVA_HOME:+$JAVA_HOME/bin/}java"
start_seconds=90 # a loaded machine

missing() {
    echo "no Kafka broker: $1" >&2
    exit 3
}

# Sets $jars, a folder with all jars; fetches them if they are not there yet.
fetch() {
    local major version part tool
    command -v "$java" >/dev/null || missing "there is no Java (17 or newer) on this machine"
    major="$("$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)"
    [ "${major:-0}" -ge 17 ] || missing "Java is $major, Kafka needs 17 or newer"
    for tool in openssl ps setsid; do
        command -v $tool >/dev/null || missing "there is no $tool on this machine"
    done
    version="$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$here/pom.xml")"
    jars="$(cd "$root" && mkdir -p "${CARGO_TARGET_DIR:-target}" && cd "${CARGO_TARGET_DIR:-target}" && pwd)/kafka/$version"
    if cmp -s "$here/pom.xml" "$jars/pom.xml"; then return 0; fi
    command -v mvn >/dev/null || missing "there is no Maven (mvn) on this machine"
    part="$jars.part.$$"
    rm -rf "$part" && mkdir -p "$part"
    # Twice: a download may break off. --update-snapshots: Maven would remember that something was not there.
    maven "$part" || maven "$part" || { rm -rf "$part"; missing "Maven could not fetch it"; }
    cp "$here/pom.xml" "$part/" # last: marks the folder as whole
    rm -rf "$jars" && mv "$part" "$jars"
}

maven() {
    mvn --batch-mode --quiet --update-snapshots --file "$here/pom.xml" dependency:copy-dependencies \
        -DoutputDirectory="$1" >&2
}

# Three ports where nobody listens, below those that the system gives away itself, so that a restart finds them free.
ports() {
    local first tries
    for tries in $(seq 100); do
        first=$((15000 + RANDOM % 15000))
        if ! listens $first && ! listens $((first + 1)) && ! listens $((first + 2)); then
            echo "$first"
            return 0
        fi
    done
    echo "no free ports" >&2
    return 1
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A CA and the broker's certificate by it, for as long as tests run.
certificates() {
    local dir="$1"
    (
        cd "$dir"
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=tsumiage test CA" -keyout ca.key -out ca.pem
        openssl req -newkey rsa:2048 -nodes -subj "/CN=localhost" -keyout broker.key -out broker.csr
        openssl x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out broker.crt \
            -extfile <(echo "subjectAltName=IP:127.0.0.1,DNS:localhost")
        cat broker.key broker.crt >broker.pem
        rm broker.key broker.csr broker.crt ca.key ca.srl
    ) >"$dir/openssl.out" 2>&1 || { cat "$dir/openssl.out" >&2; return 1; }
}

# Configuration, keys and formatted storage of a new broker in $1.
prepare() {
    local dir="$1" first password cluster
    first="$(ports)"
    password="$(openssl rand -hex 16)"
    cluster="$(openssl rand -base64 16 | tr '+/' 'AB' | tr -d '=')"
    certificates "$dir"
    echo "127.0.0.1:$first" >"$dir/bootstrap"
    echo "127.0.0.1:$((first + 1))" >"$dir/tls-bootstrap"
    cat >"$dir/client.properties" <<END
security.protocol=SASL_SSL
ssl.ca.location=$dir/ca.pem
sasl.mechanism=SCRAM-SHA-512
sasl.username=tsumiage
sasl.password=$password
END
    # Topics are made on first use, as at many sites: what we send must not rely on it, nor be led astray by it.
    # What a topic keeps, how large a message may be: as Kafka has it if nobody says otherwise.
    cat >"$dir/server.properties" <<END
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$((first + 2))
listeners=PLAIN://127.0.0.1:$first,SECURE://127.0.0.1:$((first + 1)),CONTROLLER://127.0.0.1:$((first + 2))
listener.security.protocol.map=PLAIN:PLAINTEXT,SECURE:SASL_SSL,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAIN
log.dirs=$dir/data
auto.create.topics.enable=true
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
# A killed broker may come back once its session is over: not after 9 s as usual.
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=4000
log.cleaner.dedupe.buffer.size=8388608
listener.name.secure.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secure.ssl.keystore.type=PEM
listener.name.secure.ssl.keystore.location=$dir/broker.pem
END
    "$java" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$jars/*" kafka.tools.StorageTool format \
        --cluster-id "$cluster" --config "$dir/server.properties" \
        --add-scram "SCRAM-SHA-512=[name=tsumiage,iterations=4096,password=$password]" >"$dir/format.out" 2>&1 ||
        { cat "$dir/format.out" >&2; return 1; }
}

# Whether the broker in $1 runs: its process, not another that got its number.
runs() {
    [ -s "$1/pid" ] && ps -ww -p "$(cat "$1/pid")" -o args= 2>/dev/null | grep -qF "$1/server.properties"
}

# Whether the broker answers which requests it knows (ApiVersions, version 0), not only accepts a connection.
answers() (
    exec 3<>"/dev/tcp/${1/://}" && printf '\0\0\0\12\0\22\0\0\0\0\0\1\377\377' >&3 &&
        [ "$(timeout 5 head -c 8 <&3 | tail -c 4 | od -An -tx1 | tr -d ' ')" = 00000001 ]
) 2>/dev/null

# Starts the prepared broker in $1 and waits until it answers.
launch() {
    local dir="$1" until=$((SECONDS + start_seconds)) classes="$jars/classes.jsa"
    # The first broker that is stopped leaves its classes for the next ones: they start in half the time.
    if [ -s "$classes" ]; then classes="-XX:SharedArchiveFile=$classes"; else classes="-XX:ArchiveClassesAtExit=$classes"; fi
    # shellcheck disable=SC2086 # several options
    setsid nohup "$java" -Xmx512m -XX:+UseSerialGC "$classes" ${TSUMIAGE_TEST_KAFKA_JAVA:-} \
        -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dorg.slf4j.simpleLogger.showDateTime=true \
        -Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS \
        -Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.utils.AppInfoParser=info \
        -cp "$jars/*" kafka.Kafka "$dir/server.properties" </dev/null >"$dir/log" 2>&1 &
    echo $! >"$dir/pid"
    # It says its version once it is up.
    until grep -q 'Kafka version: ' "$dir/log" && answers "$(cat "$dir/bootstrap")"; do
        if ! kill -0 "$(cat "$dir/pid")" 2>/dev/null || [ $SECONDS -ge $until ]; then
            echo "the Kafka broker did not start; its last lines:" >&2
            tail -n 40 "$dir/log" >&2
            stop_it "$dir" KILL
            return 1
        fi
        sleep 0.1
    done
    sed -n 's/.*Kafka version: //p' "$dir/log" | head -n 1 >"$dir/version"
    echo "Apache Kafka $(cat "$dir/version")"
}

# Ends the broker in $1 by signal $2 and waits until it is gone.
stop_it() {
    local dir="$1" tries
    runs "$dir" || return 0
    kill "-$2" "$(cat "$dir/pid")" 2>/dev/null || true
    for tries in $(seq 300); do
        runs "$dir" || return 0
        sleep 0.1
    done
    echo "the Kafka broker did not stop; killed" >&2
    kill -KILL "$(cat "$dir/pid")" 2>/dev/null || true
}

usage() {
    sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0" >&2
    exit 64
}

command="${1:-}"
case "$command" in
fetch) [ $# -eq 1 ] || usage ;;
start | stop | kill | restart) [ $# -eq 2 ] || usage ;;
*) usage ;;
esac
if [ "$command" = start ]; then mkdir -p "$2"; fi
if [ $# -eq 2 ]; then dir="$(cd "$2" && pwd)"; fi

case "$command" in
fetch) fetch && echo "$jars" ;;
start)
    [ ! -e "$dir/server.properties" ] || { echo "$dir has a broker already; restart it" >&2; exit 1; }
    fetch
    umask 077
    prepare "$dir"
    launch "$dir"
    ;;
stop) stop_it "$dir" TERM ;;
kill) stop_it "$dir" KILL ;;
restart)
    fetch
    stop_it "$dir" TERM
    launch "$dir"
    ;;
esac
