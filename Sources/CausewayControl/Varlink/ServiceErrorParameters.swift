/// The parameters of the errors of `org.varlink.service`: each has at most one of these.
public struct ServiceErrorParameters: Codable, Equatable, Sendable {
    public var interface: String?
    public var method: String?
    public var parameter: String?

    public init(interface: String? = nil, method: String? = nil, parameter: String? = nil) {
        self.interface = interface
        self.method = method
        self.parameter = parameter
    }

    var text: String { interface ?? method ?? parameter ?? "" }
}
