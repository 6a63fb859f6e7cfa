"""Luigi task of the decode stage."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from tasks.decode.rejections import RULES, MissingPhoto, Reason
from tasks.decode.settings import DecodeSettings
from tasks.decode.spec import DECODE
from tasks.parameters import SettingsParameter
from tasks.paths import AnyPath, to_path
from tasks.progress import Progress
from tasks.shards.manifests import StageResult
from tasks.stage import RunStageTask
from tasks.storage.layout import manifest_path

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.decode.photos import DecodeCounts, DecodeStores


class DecodePhotos(RunStageTask):
    """Decodes the photos of a snapshot that were never decoded with these settings."""

    settings: SettingsParameter[DecodeSettings] = SettingsParameter(DecodeSettings)

    stage = DECODE.name

    def manifest_path(self) -> AnyPath:
        """Each snapshot has a manifest in the store."""
        return manifest_path(self.root.decode(self.settings.key), self.snapshot)

    def complete(self) -> bool:
        """Whether the snapshot is decoded, and within the limits of this run for pixels and rejected photos.

        Photos keep their pictures under a lower cap. Photos that earlier rules rejected have to be tried again.
        """
        if not self.is_published():
            return False
        found = self.manifest()
        # Manifests of earlier versions lack the cap.
        if Reason.TOO_LARGE in found.details["reasons"] and self.context.max_megapixels > found.details.get(
            "max_megapixels", 0
        ):
            return False
        if found.details.get("rules", 1) < RULES and any(
            Reason(reason).by_rules for reason in found.details["reasons"]
        ):
            return False
        missing = int(found.details["missing"])
        return missing <= self.context.max_rejected * (found.photos + missing)

    def _renew_snapshot(self, skipped: Sequence[MissingPhoto]) -> None:
        """Invalidate the snapshot if files have changed or vanished, so that the next run takes a new one."""
        from tasks.snapshot.photos import invalidate_snapshot

        reasons = {photo.path: photo.reason for photo in skipped}
        if self.context.pointer and not {Reason.CHANGED, Reason.VANISHED}.isdisjoint(reasons.values()):
            # A vanished file may come back unchanged, for example when its disk is mounted again.
            changed = [path for path, reason in reasons.items() if reason == Reason.CHANGED]
            invalidate_snapshot(to_path(self.context.pointer), changed)

    def work(self, progress: Progress) -> StageResult:
        """Decode the photos that are missing from the store, and check that enough have a picture."""
        with progress.preparing("imports"):
            import pyarrow as pa

            from tasks.decode.photos import open_stores, read_rejected
            from tasks.decode.rejected_rows import check_left, check_missing, missing_photos
            from tasks.decode.repair import tell_flawed
            from tasks.snapshot.photos import count_labels, read_snapshot, usable

        wanted = usable(read_snapshot(self.root, self.snapshot))
        keys = wanted.column("sha256").combine_chunks()
        stores = open_stores(self.root, self.settings)
        counts = self._decode(wanted, stores, progress)
        if counts.flawed.photos:
            progress.tell(tell_flawed(asdict(counts.flawed)))
        self._renew_snapshot(counts.skipped)
        decoded = stores.decoded.search(keys)
        found = decoded.found
        rejected = read_rejected(stores, keys.filter(pa.array(~found)))
        missing = missing_photos(wanted, rejected, counts.skipped)
        check_missing(missing, wanted.num_rows, self.context.max_rejected)
        check_left(wanted.filter(found), count_labels(wanted), missing)
        return StageResult(
            key=self.settings.key,
            snapshot=self.snapshot,
            settings=self.settings.ingredients(),
            photos=int(found.sum()),
            new=counts.new,
            reused=counts.reused,
            shards=tuple(shard.name for shard in decoded.shards()),
            details={
                "max_megapixels": self.context.max_megapixels,
                "missing": len(missing),
                "rejected": rejected.num_rows,
                "rejected_new": counts.rejected,
                "skipped": len(counts.skipped),
                "reasons": dict(Counter(row.reason for row in missing)),
                "rules": RULES,
                "flawed": asdict(counts.flawed),
            },
        )

    def _decode(self, photos: "pa.Table", stores: "DecodeStores", progress: Progress) -> "DecodeCounts":
        """Decode the photos that are in neither store, on this machine or on a cluster."""
        folder, max_pixels = self.context.photo_folder, self.context.max_pixels
        if self.context.cluster is None:
            from tasks.decode.photos import decode_photos

            return decode_photos(photos, folder, stores, progress, max_pixels)
        from tasks.cluster.client import text_of
        from tasks.decode.on_ray import DecodeBlock, decode_on_cluster

        work = DecodeBlock(text_of(self.root.path), text_of(folder), self.settings, self.settings.key, max_pixels)
        return decode_on_cluster(photos, work, self.context.cluster, progress)
