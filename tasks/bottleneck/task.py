"""Luigi task of the bottleneck stage."""

from dataclasses import asdict

from tasks.bottleneck.settings import BottleneckSettings
from tasks.bottleneck.spec import BOTTLENECK
from tasks.decode.task import DecodePhotos
from tasks.parameters import NumberParameter, SettingsParameter
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.shards.manifests import StageResult
from tasks.stage import RunStageTask
from tasks.storage.layout import manifest_path


class ExtractBottlenecks(RunStageTask):
    """Computes the bottlenecks that the photos of a snapshot still lack."""

    settings: SettingsParameter[BottleneckSettings] = SettingsParameter(BottleneckSettings)

    decode_number: NumberParameter[int] = NumberParameter(
        int, 1, default=1, significant=False, description="Position of its decode stage among those of the run."
    )

    stage = BOTTLENECK.name
    on_gpus = True

    def requires(self) -> DecodePhotos:
        """The task that makes the pictures."""
        return DecodePhotos(context=self.context, settings=self.settings.decode, number=self.decode_number)

    def process_resources(self) -> dict[str, int]:
        """This machine's GPUs, unless a cluster allocates its own."""
        cluster = self.context.cluster
        here = cluster is None or (cluster.gpus and not cluster.address)
        return super().process_resources() if here else {}

    def manifest_path(self) -> AnyPath:
        """The snapshot's manifest in the store."""
        return manifest_path(self.root.bottleneck(self.settings.key), self.snapshot)

    def work(self, progress: Progress) -> StageResult:
        """Embed the photos without bottlenecks; TensorFlow is loaded only if there are any."""
        from tasks.bottleneck.update_store import EmbedInputs, WantedPhotos, embed_photos
        from tasks.snapshot.photos import read_snapshot, usable

        keys = usable(read_snapshot(self.root, self.snapshot)).column("sha256").combine_chunks()
        wanted = WantedPhotos(keys, self.requires().manifest().photos)
        weights = self.context.weights_of(self.settings.backbone.weights_sha256)
        inputs = EmbedInputs(self.root, self.settings, weights)
        if self.context.cluster:
            from tasks.bottleneck.on_ray import embed_on_cluster

            counts = embed_on_cluster(wanted, inputs, self.context.cluster, progress)
        else:
            counts = embed_photos(wanted, inputs, progress)
        return StageResult(
            key=self.settings.key,
            snapshot=self.snapshot,
            settings=asdict(self.settings),
            photos=counts.new + counts.reused,
            new=counts.new,
            reused=counts.reused,
            shards=counts.shards,
            details={
                "precision": self.settings.precision,
                "rows": (counts.new + counts.reused) * self.settings.all_views,
                "rows_new": counts.new * self.settings.all_views,
            },
        )
