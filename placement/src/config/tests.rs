use super::*;

fn config(extra: &[&str]) -> Result<Config, InvalidSetting> {
    let args = Args::try_parse_from(["placement", "--data-dir", "/data"].iter().chain(extra));
    Config::try_from(args.unwrap())
}

fn addresses(config: &Config) -> Vec<(u64, &str)> {
    config.peers.iter().map(|(id, address)| (id.0, address.as_str())).collect()
}

#[test]
fn the_defaults_are_one_replica_and_three_nodes() {
    let config = config(&[]).unwrap();
    assert_eq!(addresses(&config), [(1, "0.0.0.0:7000")]);
    assert_eq!(config.settings.slot_count, SlotCount::DEFAULT);
    assert_eq!(config.bootstrap_when, BootstrapWhen { nodes: 3, servers: BTreeSet::new() });
}

#[test]
fn peers_are_given_by_number_and_ones_own_address_may_be_overridden() {
    let peers = ["--id", "2", "--peers", "1=a:7000,2=b:7000,3=c:7000"];
    let all = [(1, "a:7000"), (2, "b:7000"), (3, "c:7000")];
    assert_eq!(addresses(&config(&peers).unwrap()), all);
    let overridden = config(&[&peers[..], &["--advertise", "x:1"]].concat()).unwrap();
    assert_eq!(addresses(&overridden)[1], (2, "x:1"));
    let alone = config(&["--advertise", "x:1"]).unwrap();
    assert_eq!(addresses(&alone), [(1, "x:1")]);
}

#[test]
fn the_servers_file_names_nodes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("servers");
    fs::write(&path, "# nodes\nnode-1:50051\n\n  node-2:50051 \n").unwrap();
    let path = path.display().to_string();
    let servers = config(&["--servers-file", &path]).unwrap().bootstrap_when.servers;
    assert_eq!(servers, ["node-1:50051", "node-2:50051"].map(String::from).into());
    fs::write(&path, "node-1\n").unwrap();
    let error = config(&["--servers-file", &path]).unwrap_err().to_string();
    assert!(error.starts_with("--servers-file: `node-1` is not host:port"), "{error}");
    let error = config(&["--servers-file", "/not/there"]).unwrap_err().to_string();
    assert!(error.starts_with("--servers-file: cannot read /not/there"), "{error}");
}

#[test]
fn a_bad_setting_is_refused_with_its_flag_and_range() {
    for (flag, value, expected) in [
        ("--id", "0", "--id: 0 is out of range"),
        ("--listen", "7000", "--listen: `7000` is not host:port"),
        ("--advertise", "a", "--advertise: `a` is not host:port"),
        ("--metrics-listen", ":1", "--metrics-listen: `:1` is not host:port"),
        ("--peers", "a:1", "--peers: `a:1` is not ID=HOST:PORT"),
        ("--peers", "0=a:1", "--peers: `0=a:1` is not ID=HOST:PORT"),
        ("--peers", "1=a", "--peers: `a` is not host:port"),
        ("--peers", "1=a:1,1=b:1", "--peers: names replica 1 twice"),
        ("--peers", "1=a:1,2=a:1", "--peers: names a:1 twice"),
        (
            "--peers",
            "1=a:1,2=a:2,3=a:3,4=a:4,5=a:5,6=a:6,7=a:7,8=a:8",
            "--peers: names 8 replicas: 1 to 7",
        ),
        ("--admin-listen", "7001", "--admin-listen: `7001` is not host:port"),
        ("--peers", "2=a:1", "--peers: does not name this replica, --id 1"),
        ("--slot-count", "100", "--slot-count: 100 is not a power of two"),
        ("--replication-factor", "2", "--replication-factor: 2 is not 1, 3 or 5"),
        ("--initial-nodes", "2", "--initial-nodes: 2 is out of range: 3 "),
        ("--value-bytes-max", "0", "--value-bytes-max: 0 is out of range: 1 to 8388608"),
        ("--value-bytes-max", "8388609", "--value-bytes-max: 8388609 is out of range"),
    ] {
        let error = config(&[flag, value]).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}
