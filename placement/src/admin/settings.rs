//! Admin calls about what an operator changes while the cluster runs.

use std::sync::Arc;

use ringkv_placement_core::command::OperationCommand;
use ringkv_proto::v1::{GetSettingsReply, RuntimeSettings, SetSettingReply, SetSettingRequest};
use tonic::Status;

use crate::admin::Admin;
use crate::observed::wall_ms;

impl Admin {
    /// As the leader has them.
    pub(super) async fn settings(&self) -> Result<GetSettingsReply, Status> {
        let status = self.overview.status().await?;
        Ok(GetSettingsReply { runtime: status.runtime })
    }

    pub(super) async fn set(&self, request: SetSettingRequest) -> Result<SetSettingReply, Status> {
        let SetSettingRequest { name, value } = request;
        let command = OperationCommand::SetSetting {
            name: name.clone(),
            value: value.clone(),
            now_ms: wall_ms(),
        };
        self.operate(command).await?;
        tracing::info!(name, value, "changed a setting");
        Ok(SetSettingReply { runtime: self.runtime_after_change().await })
    }

    /// The settings after a change, which stands even if they cannot be read.
    async fn runtime_after_change(&self) -> Option<RuntimeSettings> {
        match self.overview.status().await {
            Ok(status) => status.runtime,
            Err(_) => {
                let state = Arc::clone(&self.member.state.borrow());
                let runtime = state.topology()?.runtime;
                Some(RuntimeSettings {
                    replace_after_s: runtime.replace_after_s,
                    snapshot_bytes_per_s: runtime.snapshot_bytes_per_s,
                })
            }
        }
    }
}
