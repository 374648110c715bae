/// The version that both executables print and `org.varlink.service.GetInfo` answers.
public enum CausewayVersion {
    public static let current = "0.1.0"
}
