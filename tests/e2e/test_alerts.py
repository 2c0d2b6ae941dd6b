"""Alerts over the wire: raised by a real trouble, looked after by one, watched over a restart."""

import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from taxcontrol.admin.v1.alert_pb2 import Alert, AlertThresholds
from taxcontrol.admin.v1.alert_service_pb2 import (
    AcknowledgeAlertRequest,
    GetAlertThresholdsRequest,
    ListAlertsRequest,
    SetAlertThresholdsRequest,
    WatchAlertsRequest,
    WatchAlertsResponse,
)
from taxcontrol.admin.v1.alert_service_pb2_grpc import AlertServiceStub
from taxcontrol.admin.v1.audit_service_pb2 import ListAuditRecordsRequest
from tests.e2e.platform import Platform
from tests.e2e.sellers import Seller, new_id, ticket
from tests.e2e.wire import eventually, refused
from tests.fakes.gateway_process import GatewayProcess
from tests.fakes.simulator_process import SimulatorProcess

WHY = "示例原因"
OPERATOR = (("operator", "li.wei"),)
REJECTED = Alert.KIND_UPLOAD_REJECTED
_Told = WatchAlertsResponse
SETTINGS = "[desk]\nsurvey_s = 1.0\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    folder = tmp_path_factory.mktemp("alerts-authority")
    with SimulatorProcess(folder, arguments=["--windows", ""]) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def gateway(
    authority: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    folder = tmp_path_factory.mktemp("alerts-gateway")
    with GatewayProcess(folder, authority=authority.target, settings=SETTINGS) as running:
        yield running


def alerts_of(gateway: GatewayProcess) -> AlertServiceStub:
    return AlertServiceStub(gateway.channel)


def troubled(platform: Platform, authority: SimulatorProcess) -> Seller:
    """A seller of whom the authority has refused an invoice."""
    seller = platform.new_seller("026", stock=50)
    authority.set_faults(seed=1, refuse_item_ppm=1_000_000)
    platform.invoices.IssueInvoice(ticket(seller, new_id("alert")))
    eventually(lambda: platform.upload_status(seller).rejected_count == 1)
    authority.set_faults()
    return seller


def standing(gateway: GatewayProcess, seller: Seller, kind: int = 0) -> list[Alert]:
    page = alerts_of(gateway).ListAlerts(
        ListAlertsRequest(parent=seller.name, open_only=True, kind=kind)  # type: ignore[arg-type]  # numbers of the enum
    )
    return [alert for alert in page.alerts if alert.taxpayer == seller.name]


def raised(gateway: GatewayProcess, seller: Seller) -> Alert:
    """The alert of a seller's refused invoice, as soon as it stands."""
    eventually(lambda: len(standing(gateway, seller, REJECTED)) == 1)
    return standing(gateway, seller, REJECTED)[0]


def acknowledge(
    gateway: GatewayProcess, alert: Alert, request_id: str, *, validate_only: bool = False
) -> Alert:
    answer = alerts_of(gateway).AcknowledgeAlert(
        AcknowledgeAlertRequest(
            request_id=request_id, name=alert.name, reason=WHY, validate_only=validate_only
        ),
        metadata=OPERATOR,
    )
    return answer.alert


class Watch:
    """A watch of alerts in a thread of its own: what it was told, and where it stands."""

    def __init__(self, gateway: GatewayProcess, seller: Seller, token: str = "") -> None:
        self.told: list[_Told] = []
        self.message_count = 0
        self.token = token
        self.ended = threading.Event()
        self._call = alerts_of(gateway).WatchAlerts(
            WatchAlertsRequest(parent=seller.name, resume_token=token)
        )
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        try:
            for message in self._call:
                self.message_count += 1
                self.token = message.resume_token or self.token
                if message.HasField("alert"):
                    self.told.append(message)
        except grpc.RpcError:
            pass
        finally:
            self.ended.set()

    def stop(self) -> None:
        self._call.cancel()
        assert self.ended.wait(10)

    def of(self, seller: Seller) -> list[tuple[str, str]]:
        """(change, kind) of what it was told about a seller."""
        return [
            (_Told.Change.Name(one.change)[7:], Alert.Kind.Name(one.alert.kind)[5:])
            for one in self.told
            if one.alert.taxpayer == seller.name
        ]


def test_a_refused_upload_raises_an_alert_with_its_figures(
    gateway: GatewayProcess, authority: SimulatorProcess
) -> None:
    platform = Platform(gateway.channel)
    seller = troubled(platform, authority)

    alert = raised(gateway, seller)

    assert alert.state == Alert.STATE_RAISED
    assert alert.severity == Alert.SEVERITY_WARNING
    assert dict(alert.facts) == {"rejected_count": "1", "signature_rejected_count": "0"}
    assert "refused 1 events" in alert.message
    assert "退回 1 条" in alert.message_zh


def test_an_alert_is_acknowledged_by_one_and_stays(
    gateway: GatewayProcess, authority: SimulatorProcess
) -> None:
    platform = Platform(gateway.channel)
    seller = troubled(platform, authority)
    alert = raised(gateway, seller)
    request_id = new_id("ack")

    dry = acknowledge(gateway, alert, request_id, validate_only=True)
    untouched = raised(gateway, seller).state
    done = acknowledge(gateway, alert, request_id)
    again = acknowledge(gateway, alert, request_id)

    assert dry.state == Alert.STATE_ACKNOWLEDGED
    assert untouched == Alert.STATE_RAISED
    assert (done.acknowledged_by, done.acknowledge_reason) == ("li.wei", WHY)
    assert again.acknowledge_time == done.acknowledge_time
    assert raised(gateway, seller).state == Alert.STATE_ACKNOWLEDGED
    with refused("ALERT_NOT_OPEN", grpc.StatusCode.FAILED_PRECONDITION) as caught:
        acknowledge(gateway, alert, new_id("ack"))
    assert caught[0].facts["state"] == "ACKNOWLEDGED"
    [record] = platform.audit.ListAuditRecords(ListAuditRecordsRequest(parent=alert.name)).records
    assert (record.actor, record.action, record.reason) == ("li.wei", "acknowledge_alert", WHY)


def test_an_alert_that_is_not_is_not_found(gateway: GatewayProcess) -> None:
    with refused("ALERT_NOT_FOUND", grpc.StatusCode.NOT_FOUND):
        acknowledge(gateway, Alert(name="alerts/999999999"), new_id("ack"))


@pytest.mark.parametrize("name", ["gateway", "authority", "", "x" * 65])
def test_nobody_acts_under_a_name_that_is_none_or_not_his(
    gateway: GatewayProcess, name: str
) -> None:
    with refused("INVALID_REQUEST") as caught:
        alerts_of(gateway).ListAlerts(ListAlertsRequest(), metadata=(("operator", name),))

    assert caught[0].violations in (
        {("FIELD_NOT_ALLOWED", "operator")},
        {("FIELD_FORMAT", "operator")},
    )


def test_thresholds_are_set_dry_and_done_and_fall_back_to_the_default(
    gateway: GatewayProcess,
) -> None:
    seller = Platform(gateway.channel).new_seller("026", stock=10)
    stub = alerts_of(gateway)

    def put(thresholds: AlertThresholds, *, dry: bool = False) -> AlertThresholds:
        request = SetAlertThresholdsRequest(
            request_id=new_id("thresholds"),
            parent=seller.name,
            thresholds=thresholds,
            reason=WHY,
            validate_only=dry,
        )
        return stub.SetAlertThresholds(request).thresholds

    def found() -> AlertThresholds:
        return stub.GetAlertThresholds(GetAlertThresholdsRequest(parent=seller.name)).set_thresholds

    dry = put(AlertThresholds(unuploaded_count=7), dry=True)
    untouched = found()
    done = put(AlertThresholds(unuploaded_count=7))
    set_then = found()
    back = put(AlertThresholds())

    assert (dry.unuploaded_count, done.unuploaded_count) == (7, 7)
    assert untouched == AlertThresholds()
    assert set_then == AlertThresholds(unuploaded_count=7)
    assert back.unuploaded_count == 10_000
    with refused("INVALID_REQUEST"):
        put(AlertThresholds(unuploaded_count=0))


def test_a_watch_goes_on_over_a_restart_nothing_missed_nothing_twice(
    authority: SimulatorProcess, tmp_path: Path
) -> None:
    with GatewayProcess(tmp_path, authority=authority.target, settings=SETTINGS) as gateway:
        seller = troubled(Platform(gateway.channel), authority)
        alert = raised(gateway, seller)
        watch = Watch(gateway, seller)
        eventually(lambda: bool(watch.token))
        gateway.kill()
        assert watch.ended.wait(10)
        before, token = watch.of(seller), watch.token
        gateway.start()
        platform = Platform(gateway.channel)
        # Nobody watches while it is acknowledged: the next watch is told, by the token of the last.
        stands = raised(gateway, seller)
        acknowledge(gateway, alert, new_id("ack"))

        resumed = Watch(gateway, seller, token)
        eventually(lambda: len(resumed.of(seller)) == 1)
        for _ in range(49):
            platform.invoices.IssueInvoice(ticket(seller, new_id("alert")))
        eventually(lambda: ("RAISED", "STOCK_EXHAUSTED") in resumed.of(seller), within_s=90)
        resumed.stop()
        again = Watch(gateway, seller, resumed.token)
        eventually(lambda: again.message_count > 0)
        again.stop()

        assert stands.name == alert.name
        assert before == [("STANDING", "UPLOAD_REJECTED")]
        assert resumed.of(seller)[0] == ("ACKNOWLEDGED", "UPLOAD_REJECTED")
        assert len(set(resumed.of(seller))) == len(resumed.of(seller))
        assert not set(again.of(seller)) & set(resumed.of(seller))
        other = platform.new_seller("026", stock=1)
        with refused("INVALID_REQUEST") as caught:
            asked = WatchAlertsRequest(parent=other.name, resume_token=token)
            next(iter(alerts_of(gateway).WatchAlerts(asked)))
        assert caught[0].violations == {("TOKEN_MISMATCH", "resume_token")}
        assert platform.books().findings == []
