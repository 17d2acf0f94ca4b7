//! `overdue serve`: jobs on their schedules.
//!
//! tokio-cron-scheduler is the alarm clock and nothing more: it wakes us every second. Which occurrences are due is read
//! from the store and the clock each time, so a missed alarm costs a second and a restart costs nothing. An occurrence is
//! claimed by a unique key in the store; any number of processes may serve the same jobs.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use overdue_core::Job;
use overdue_store::RunKind;
use tokio_cron_scheduler::{Job as Alarm, JobScheduler};

use crate::commands::{Clock, Machinery, RunRequest, run_claimed};
use crate::occurrences;

/// How often the clock is looked at.
const TICK: Duration = Duration::from_secs(1);

/// Serves `jobs` until the process is told to stop.
pub(crate) async fn serve(machinery: Arc<Machinery>, jobs: Vec<Job>, clock: Clock) -> Result<()> {
    let (wake, mut woken) = tokio::sync::mpsc::channel::<()>(1);
    let mut scheduler = JobScheduler::new().await.context("the alarm clock does not start")?;
    let alarm = Alarm::new_repeated_async(TICK, move |_, _| {
        let wake = wake.clone();
        Box::pin(async move {
            // A full channel means a wake-up is already waiting.
            let _ = wake.try_send(());
        })
    })
    .context("the alarm clock does not start")?;
    scheduler.add(alarm).await.context("the alarm clock does not start")?;
    scheduler.start().await.context("the alarm clock does not start")?;

    let mut stop = std::pin::pin!(stopped());
    let mut busy: tokio::task::JoinSet<()> = tokio::task::JoinSet::new();
    let mut running: std::collections::BTreeMap<tokio::task::Id, String> = std::collections::BTreeMap::new();
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(ended) = busy.join_next_with_id(), if !busy.is_empty() => match ended {
                Ok((id, ())) => { running.remove(&id); }
                // A fault in one run must not let the next of the same job begin beside another that still lasts.
                Err(error) => { tracing::error!(%error, "a run failed"); running.remove(&error.id()); }
            },
            Some(()) = woken.recv() => {
                for job in jobs.iter().filter(|job| !running.values().any(|name| *name == job.name)).cloned().collect::<Vec<_>>() {
                    match due(&machinery, &job, clock()).await {
                        Ok(None) => {}
                        Ok(Some(request)) => {
                            let machinery = machinery.clone();
                            let name = job.name.clone();
                            let task = busy.spawn(async move {
                                let name = job.name.clone();
                                if let Err(error) = run_claimed(&machinery, job, request).await {
                                    tracing::error!(job = name, error = format!("{error:#}"), "run failed; it goes on at the next chance");
                                    crate::output::complain(&format!("job {name}: {error:#}"));
                                }
                            });
                            running.insert(task.id(), name);
                        }
                        Err(error) => crate::output::complain(&format!("job {}: {error:#}", job.name)),
                    }
                }
            }
        }
    }
    scheduler.shutdown().await.context("the alarm clock does not stop")?;
    Ok(())
}

/// What of a job is to be run now: an unfinished run nobody holds, or the newest due occurrence. Older missed ones are
/// counted in the store.
async fn due(machinery: &Machinery, job: &Job, now: Timestamp) -> Result<Option<RunRequest>> {
    let Some(schedule) = &job.schedule else { return Ok(None) };
    if let Some(unfinished) = machinery.store.unfinished_run(&job.name, &crate::holder::is_dead, now).await? {
        return Ok(Some(RunRequest { occurrence: unfinished.occurrence, due_at: unfinished.due_at, kind: unfinished.kind }));
    }
    let Some(cursor) = machinery.store.schedule_cursor(&job.name).await? else {
        // First sight of this job: what was due before today is not missed, it was never promised.
        machinery.store.advance_schedule(&job.name, now).await?;
        return Ok(None);
    };
    let mut occurrences = occurrences::between(schedule, cursor, now);
    let Some(newest) = occurrences.pop() else { return Ok(None) };
    machinery.store.record_missed(&job.name, &occurrences, "nobody was there to run it; a newer occurrence took its place").await?;
    if now.duration_since(newest) > job.catch_up {
        machinery.store.record_missed(&job.name, &[newest], "older than the job's catch_up when somebody was there again").await?;
        machinery.store.advance_schedule(&job.name, newest).await?;
        return Ok(None);
    }
    Ok(Some(RunRequest { occurrence: newest.to_string(), due_at: newest, kind: RunKind::Scheduled }))
}

/// Ends when the process is asked to stop. A run in flight is left as it is: it goes on at the next start.
async fn stopped() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(terminate) => terminate,
            Err(_) => {
                let _ = interrupt.await;
                return;
            }
        };
        tokio::select! { _ = interrupt => {}, _ = terminate.recv() => {} }
    }
    #[cfg(not(unix))]
    {
        let _ = interrupt.await;
    }
}
