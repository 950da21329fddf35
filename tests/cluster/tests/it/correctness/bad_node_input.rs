//! Input that storage nodes and placement reject: data of another cluster, a second process,
//! garbage.

use std::time::Duration;

use anyhow::ensure;
use ringkv_cluster_tests::{Cluster, Process, Service, Shape, free_port, run, set_flag};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn single_node() -> Shape {
    Shape { nodes: 1, gateways: 1, replication_factor: 1, ..Shape::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_directory_of_another_cluster_is_refused_and_left_alone() -> anyhow::Result<()> {
    run(single_node(), async |home| {
        home.clients()?[0].put(b"key", "value").await?.expect(201)?;
        home.nodes[0].stop(Duration::from_secs(15)).await?;

        let mut other = Cluster::new(&single_node())?;
        other.start()?;
        other.ready().await?;
        let mut stranger = home.nodes[0].twin("stranger", |args| {
            set_flag(args, "--placement", &other.placement[0].address);
        })?;
        let status = stranger.exit(Duration::from_secs(15)).await?;
        ensure!(status.code().is_some_and(|code| code != 0), "it ended with {status}");
        let log = stranger.log()?;
        ensure!(log.contains("cluster") && !log.contains("panicked"), "unclear: {log}");
        other.clients()?[0].put(b"key", "other").await?.expect(201)?;
        other.no_panics()?;
        other.pass();

        home.nodes[0].start()?;
        home.nodes[0].ready().await?;
        home.ready().await?;
        let found = home.clients()?[0].get(b"key").await?.expect(200)?;
        ensure!(found.body == "value", "found {:?}", found.body);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn second_process_on_a_data_directory_is_refused_and_the_first_goes_on() -> anyhow::Result<()>
{
    run(single_node(), async |cluster| {
        let gateway = cluster.clients()?[0].clone();
        gateway.put(b"key", "value").await?.expect(201)?;
        for service in [&cluster.nodes[0], &cluster.placement[0]] {
            let mut second = second_process(service)?;
            let status = second.exit(Duration::from_secs(15)).await?;
            ensure!(status.code().is_some_and(|code| code != 0), "it ended with {status}");
            let log = second.log()?;
            let data = service.data.display().to_string();
            ensure!(
                log.contains(&data) && log.contains("in use by another process"),
                "unclear: {log}"
            );
            ensure!(!log.contains("panicked"), "panicked: {log}");
        }
        gateway.put(b"key", "again").await?.expect(204)?;
        Ok(())
    })
    .await
}

/// The same data directory on different ports.
fn second_process(service: &Service) -> anyhow::Result<Process> {
    let listen = format!("127.0.0.1:{}", free_port()?);
    let metrics = format!("127.0.0.1:{}", free_port()?);
    let admin = format!("127.0.0.1:{}", free_port()?);
    service.twin(&format!("second-{}", service.name), |args| {
        set_flag(args, "--listen", &listen);
        set_flag(args, "--admin-listen", &admin);
        set_flag(args, "--advertise", &listen);
        set_flag(args, "--metrics-listen", &metrics);
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_the_grpc_ports_harms_nothing() -> anyhow::Result<()> {
    run(single_node(), async |cluster| {
        let gateway = cluster.clients()?[0].clone();
        let frame_of_16_mebibytes =
            [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &[0xff; 9]].concat();
        let garbage: [&[u8]; 5] = [
            b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            &[0; 4096],
            &[0xff; 4096],
            &frame_of_16_mebibytes,
        ];
        for service in [&cluster.nodes[0], &cluster.placement[0]] {
            for bytes in garbage {
                throw(&service.address, bytes).await?;
            }
        }
        for round in 0..20 {
            gateway.put(format!("key {round}").as_bytes(), "value").await?.expect(201)?;
        }
        Ok(())
    })
    .await
}

/// Sends the bytes, then reads until the other side closes or sends nothing more.
async fn throw(address: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    // The other side may close during the write: that is a valid answer.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    ensure!(read.is_ok(), "{address} keeps a connection that sent garbage and closed");
    Ok(())
}
