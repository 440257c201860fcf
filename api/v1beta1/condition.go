package v1beta1

// ConditionAccepted is the type of the condition that tells whether an object that a user
// wrote is in effect. It is True with reason Accepted, or False with the reason why not
// and a message that says what to change. What is in effect and still deserves attention
// stands in the message, too. (extension)
const ConditionAccepted = "Accepted"
