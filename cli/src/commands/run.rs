//! `casebook run`: the streaming deployment.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use casebook_pipeline::{Config, Pipeline};
use casebook_store::Store;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::args::RunArgs;
use crate::exit_code;
use crate::resolve::rules;

pub async fn run(args: RunArgs) -> Result<ExitCode> {
    // Before all else: one that is asked to stop while it starts is to say so, not to die of it.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut config = Config::read(&args.config)?;
    if let Some(store) = args.store {
        config.store = store;
    }
    let role = args.role;
    let rules = rules::load(&config.rules, false)?;
    let store = Arc::new(Store::open(&config.store, config.store_config()).await?);
    info!(
        store = config.store,
        brokers = config.kafka.brokers,
        group = config.kafka.group,
        rules = rules.rules().count(),
        %role,
        "starting"
    );
    let interval = config.rules_reload.map(|interval| interval.0);
    let pipeline = Pipeline::start(config, role, rules, store).await?;
    let mut reload = pipeline.reload();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                heard = hangup.recv() => match heard {
                    Some(()) => reload.reload().await,
                    None => return,
                },
                () = tokio::time::sleep(interval.unwrap_or_default()), if interval.is_some() => {
                    reload.reload_if_changed().await;
                }
            }
        }
    });
    let shutdown = pipeline.shutdown();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("stopping: committing what is read; a second signal stops at once");
        shutdown.cancel();
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        // Nothing is lost by this: what is not committed is read again.
        std::process::exit(130);
    });
    pipeline.wait().await?;
    info!("stopped");
    Ok(exit_code::OK)
}
